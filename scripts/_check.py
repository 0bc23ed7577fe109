"""The command `check`: set up, then hand over to the workbench, which runs in `.venv`."""

from __future__ import annotations

import os
from typing import NoReturn

import _setup
from _lesson_arguments import LessonParser, count

_DESCRIPTION = """\
Run the lessons, and compare what each cell puts out with what is committed: a difference is shown
and fails the check. What may vary is marked in the cells' tags ("varies: …", see README.md). The
form of the lessons is checked too: sections, links, order of execution, proofs that prove nothing.
build/ gets executed copies, a site (index.html) and junit.xml.
"""


def main(arguments: list[str]) -> NoReturn:
    """Do what the command line says; the exit code is 2 where it cannot be understood."""
    parser = LessonParser(prog="check", description=_DESCRIPTION)
    parser.add_argument("lesson", nargs="*", help="number or name; all lessons where there is none")
    parser.add_argument("--jobs", type=count, default=3, help="how many at a time (default: 3)")
    parser.add_argument("--update", action="store_true", help="write what differs into the lessons")
    parser.add_argument(
        "--everything",
        action="store_true",
        help="with --update: also write what may vary, as after a change of the figures",
    )
    chosen = parser.parse_args(arguments)
    if chosen.everything and not chosen.update:
        parser.error("--everything says what --update writes, and needs it")
    if os.environ.get("RESTATE_MODE") == "external":
        parser.error("outputs can be compared with a new server only; unset RESTATE_MODE=external")
    flags = [f"--{name}" for name in ("update", "everything") if getattr(chosen, name)]
    lessons = parser.choose(chosen.lesson)
    _setup.ensure()
    _setup.become(
        *("workbench.series", "check", "--jobs", chosen.jobs, *flags),
        *("--build", _setup.REPOSITORY / "build", *lessons),
    )
