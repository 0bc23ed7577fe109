"""The command `tutorial`: set up, then hand over to the workbench, which runs in `.venv`."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import _setup
from _lesson_arguments import LessonParser, count

_DESCRIPTION = "With no command: set up what is missing, and open JupyterLab at the first lesson."


def main(arguments: list[str]) -> int:
    """Do what the command line says; the exit code is 2 where it cannot be understood."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.command == "stop":
        if not _setup.WORKBENCH.exists():
            print("Nothing was ever started here.")
            return 0
        _hand_over("stop")
    lessons = parser.choose(chosen.lesson if chosen.command == "run" else [])
    if chosen.command == "run":
        parameters = [part for pair in chosen.parameter for part in ("--parameter", *pair)]
        build = _setup.REPOSITORY / "build"
        limit = ("--cell-timeout", chosen.cell_timeout) if chosen.cell_timeout else ()
        options = ("--jobs", chosen.jobs, "--build", build, *limit, *parameters)
        _hand_over("run", *options, *lessons)
    _hand_over("lab", _setup.REPOSITORY, lessons[0])


def _hand_over(*arguments: str | int | Path) -> NoReturn:
    """Set up, and become `python -m workbench.series`."""
    _setup.ensure()
    _setup.become("workbench.series", *arguments)


def _parser() -> LessonParser:
    parser = LessonParser(prog="tutorial", description=_DESCRIPTION)
    commands = parser.add_subparsers(dest="command", metavar="{run,stop}")
    run = commands.add_parser("run", help="run lessons unattended")
    run.description = "Run lessons; build/ gets executed copies, a site (index.html), junit.xml."
    run.add_argument("lesson", nargs="*", help="number or name; all lessons where there is none")
    run.add_argument("--jobs", type=count, default=1, help="how many at a time (default: 1)")
    run.add_argument(
        "--cell-timeout", type=count, metavar="SECONDS", help="the limit for a cell (default: 60)"
    )
    run.add_argument(
        *("-p", "--parameter"),
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="set a parameter of the lessons",
    )
    commands.add_parser("stop", help="stop what earlier sessions left running")
    return parser
