"""`python -m workbench.series`: run lessons, open them in JupyterLab, or end what is left running.

It takes notebooks by their paths; `scripts/tutorial` knows the lessons by their names.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from workbench.command import run_command
from workbench.series.cell_limit import CELL_SECONDS
from workbench.series.ending import end_everything

# nbformat takes along a check of international addresses, of which notebooks have none. To build
# its grammars takes most of a second, so it is declared missing, which is allowed.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


def main(arguments: list[str]) -> int:
    """Do what the command line says; 1 is a failed lesson, or no way to run it, and 130 Ctrl-C."""
    chosen = _parser().parse_args(arguments)
    return run_command(lambda: _act(chosen))


def _act(chosen: argparse.Namespace) -> int:
    if chosen.command == "stop":
        ended = end_everything()
        print(f"Stopped: {', '.join(ended)}" if ended else "Nothing was running.")
        return 0
    if chosen.command == "lab":
        from workbench.series.lab import open_lab

        open_lab(chosen.root, chosen.lesson)
        return 0
    from workbench.series.runner import run

    if chosen.command == "check":
        return _check(chosen)
    passed = run(
        chosen.lessons,
        build=chosen.build,
        jobs=chosen.jobs,
        parameters={name: _value(text) for name, text in chosen.parameter},
        cell_seconds=chosen.cell_timeout,
    )
    return 0 if passed else 1


def _check(chosen: argparse.Namespace) -> int:
    from workbench.series.check.verify import Verifier
    from workbench.series.runner import run

    verifier = Verifier(write=chosen.update, everything=chosen.everything)
    passed = run(
        chosen.lessons,
        build=chosen.build,
        jobs=chosen.jobs,
        cell_seconds=chosen.cell_timeout,
        verify=verifier.verify,
    )
    if chosen.update:
        many = "1 cell" if verifier.rewritten == 1 else f"{verifier.rewritten} cells"
        print(f"Wrote the outputs of {many} into the lessons; git diff shows them.")
    return 0 if passed else 1


def _value(text: str) -> Any:
    """A parameter's value: what `text` is in JSON, or else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workbench.series", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="execute notebooks")
    check = commands.add_parser("check", help="execute notebooks, and compare their outputs")
    for command in (run, check):
        command.add_argument("lessons", nargs="+", type=Path)
        command.add_argument("--build", type=Path, default=Path("build"), help="for the results")
        command.add_argument("--jobs", type=int, default=1, help="how many at a time")
        command.add_argument("--cell-timeout", type=int, default=CELL_SECONDS, metavar="SECONDS")
    check.add_argument("--update", action="store_true", help="write what differs into them")
    check.add_argument("--everything", action="store_true", help="and what may vary")
    run.add_argument("-p", "--parameter", nargs=2, action="append", default=[])
    lab = commands.add_parser("lab", help="open JupyterLab")
    lab.add_argument("root", type=Path, help="the folder that it shows")
    lab.add_argument("lesson", type=Path, help="the notebook that it opens")
    commands.add_parser("stop", help="end what sessions and runs have left running")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
