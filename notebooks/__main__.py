"""`python -m notebooks`: the commands `check` and `tutorial run`, which end in `pytest notebooks`.

Only the standard library is imported before the arguments are understood: a command can refuse
them before anything is installed.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

_FOLDER = Path(__file__).parent
_CHECK = """\
Run the lessons, and compare what each cell puts out with what is committed: a difference is shown
and fails the check. What may vary is marked in the cells' tags ("varies: …"). The form of the
lessons is checked too: scenes, length, links, proofs that prove nothing. Each exercise's solution
has to be right, and its wrong answers wrong.
build/ gets executed copies, pages of them (index.html) and junit.xml.
"""
_RUN = "Run lessons; build/ gets executed copies, pages of them (index.html) and junit.xml."


class _Parser(argparse.ArgumentParser):
    """Shows the lessons with its help and with every error."""

    def __init__(self, **options: Any) -> None:
        layout = argparse.RawDescriptionHelpFormatter
        super().__init__(epilog=_listing(), formatter_class=layout, **options)

    def error(self, message: str) -> NoReturn:
        """Exit with 2, saying what is wrong and which lessons there are."""
        self.exit(2, f"{self.format_usage()}{self.prog}: error: {message}\n{_listing()}\n")


def parse(arguments: list[str]) -> list[str | Path]:
    """The arguments for pytest; `arguments` begin with `check` or `run`.

    It exits with 2 where they cannot be understood, and with 0 after `--help`.
    """
    check = arguments[0] == "check"
    parser = _Parser(
        prog="check" if check else "tutorial run", description=_CHECK if check else _RUN
    )
    parser.add_argument("lesson", nargs="*", help="number or name; all lessons where there is none")
    jobs = 3 if check else 1
    parser.add_argument("--jobs", type=_count, default=jobs, help=f"at a time (default: {jobs})")
    parser.add_argument(
        "--cell-timeout",
        type=_count,
        default=60,
        metavar="SECONDS",
        help="for a cell (default: 60)",
    )
    parser.add_argument("--build", type=Path, default=build_folder(), help="for results")
    if check:
        parser.add_argument(
            "--as",
            dest="variant",
            choices=("slow", "twice", "shuffled"),
            help="go through the lessons as another reader would; nothing is compared",
        )
        parser.add_argument("--pause", type=_count, default=75, help="of a slow reader, in seconds")
        parser.add_argument("--seed", type=_count, default=1, help="of a shuffled order")
        parser.add_argument("--update", action="store_true", help="write what differs")
        parser.add_argument(
            "--everything", action="store_true", help="with --update: what may vary too"
        )
    chosen = parser.parse_args(arguments[1:])
    flags = ["--no-compare"]
    if check:
        flags = [f"--{name}" for name in ("update", "everything") if getattr(chosen, name)]
        if chosen.everything and not chosen.update:
            parser.error("--everything says what --update writes, and needs it")
        if os.environ.get("RESTATE_MODE") == "external":
            parser.error("only a new server's outputs compare; unset RESTATE_MODE=external")
    lessons = [_choose(name, parser) for name in chosen.lesson] or _lessons()
    numbers = [f"--jobs={chosen.jobs}", f"--cell-timeout={chosen.cell_timeout}"]
    results = [f"--build={chosen.build.resolve()}", f"--junitxml={chosen.build / 'junit.xml'}"]
    form = [_FOLDER / "test_form.py"] if check else []
    if check and not chosen.lesson:
        form.append(_FOLDER / "test_exercises.py")
    if check and chosen.variant:
        form = []
        flags += [f"--variant={chosen.variant}", f"--pause={chosen.pause}", f"--seed={chosen.seed}"]
        numbers[1] = f"--cell-timeout={chosen.cell_timeout + chosen.pause}"
    return [*flags, *numbers, *results, *form, *sorted(set(lessons))]


def run(arguments: list[str | Path]) -> int:
    """Run pytest; the exit code, of which 1 is a failure, 2 a mistake, and 130 Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal cannot show becomes "?"
            stream.reconfigure(errors="replace", line_buffering=True)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # they are slow to load, and not needed
    os.environ.pop("PYTEST_ADDOPTS", None)
    # nbformat takes along a check of international addresses, of which notebooks have none. To
    # build its grammars takes most of a second, so it is declared missing, which is allowed.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    import pytest

    from workbench.command import run_command

    quiet = ["-q", "--no-header", "-rN", "-o", "console_output_style=classic", "--capture=no"]
    plugins = ["-p", "pytest_timeout", "-p", "no:cacheprovider"]  # pyproject.toml sets a timeout
    # nbclient leaves an event loop behind in each thread.
    plugins += ["-p", "no:unraisableexception", "-W", "ignore", "-p", "no:logging"]
    code = run_command(lambda: pytest.main([*quiet, *plugins, *map(str, arguments)]))
    return 2 if code == pytest.ExitCode.USAGE_ERROR else int(code)


def _lessons() -> list[Path]:
    """The lessons' notebooks, in the order of their numbers."""
    return sorted(_FOLDER.glob("[0-9][0-9]_*.ipynb"))


def build_folder() -> Path:
    """The folder for results: beside the notebooks, unless the checkout is read-only."""
    home = os.environ.get("WORKBENCH_HOME")
    if home and not os.access(_FOLDER.parent, os.W_OK):
        return Path(home).expanduser() / "build"
    return _FOLDER.parent / "build"


def _listing() -> str:
    return "\n  ".join(["The lessons:", *(lesson.stem for lesson in _lessons())])


def _choose(name: str, parser: _Parser) -> Path:
    """The lesson that a number (`2`, `02`), a name or a path means."""
    for lesson in _lessons():
        number = re.match(r"\d+", lesson.stem)
        if lesson.stem == Path(name).stem or (number and number[0] == name.zfill(2)):
            return lesson
    parser.error(f"there is no lesson {name!r}")


def _count(text: str) -> int:
    """A whole number from 1, for `type=`."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(run(parse(sys.argv[1:])))
