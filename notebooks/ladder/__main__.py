"""`python -m notebooks.ladder my_agent.py`, the command `judge`.

Only the standard library is imported before the arguments are understood.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from notebooks.__main__ import build_folder

_READER = Path(__file__).parents[2] / "my-lessons"
_LAST = len([*Path(__file__).parent.glob("[0-9][0-9]_*.md")]) - 1
_DESCRIPTION = """\
Judge an agent of your own from outside, level by level: it is started, spoken to through Restate,
killed, and kept from its model. The pages of the levels are in notebooks/ladder.
Levels are cumulative: 0 to N are played, up to the first that is lost. The exit code is 1 if one
is lost, and 2 if the program cannot be judged; build/ladder/ has what a verdict stands on.
"""


def parse(arguments: list[str]) -> argparse.Namespace:
    """What the arguments ask for; exits with 0 for --help and with 2 for a mistake."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("judge", description=_DESCRIPTION, formatter_class=layout)
    add = parser.add_argument
    add("program", type=Path, help="a Python file that serves Restate on AGENT_BIND")
    levels = parser.add_mutually_exclusive_group()
    help_of_level = f"the last level to play, 0 to {_LAST} (default: 0)"
    levels.add_argument("--level", type=int, default=0, metavar="N", help=help_of_level)
    levels.add_argument("--all", action="store_const", const=_LAST, dest="level", help="play all")
    add("--only", action="store_true", help="play level N without those before it")
    add("--seed", type=int, default=1, metavar="S", help="names, order and storm (default: 1)")
    add("--command", metavar="C", help="how to start it if it is not Python: 'node agent.js'")
    options = parser.parse_args(arguments)
    if not 0 <= options.level <= _LAST:
        parser.error(f"there is no level {options.level}; the levels are 0 to {_LAST}")
    if not options.program.is_file() and (copy := _READER / options.program).is_file():
        options.program = Path(os.path.relpath(copy))  # where wb.begin() puts it
    if not options.command and not options.program.is_file():
        parser.error(f"there is no file {options.program}")
    return options


def main() -> int:
    """The exit code: 1 is a lost level, 2 a program that cannot be judged, 130 Ctrl-C."""
    options = parse(sys.argv[1:])
    from workbench.command import run_command

    return run_command(lambda: _judge(options))


def _judge(options: argparse.Namespace) -> int:
    from workbench.ladder.errors import Unplayable
    from workbench.ladder.judge import Verdict, judge_of
    from workbench.own_home import own_home

    program: Path = options.program.resolve()
    command = shlex.split(options.command or "") or [sys.executable, str(program)]

    def tell(verdict: Verdict) -> None:
        print(verdict.text(str(options.program)), flush=True)

    evidence = build_folder() / "ladder"
    first = options.level if options.only else 0
    with own_home("ladder-"):
        try:
            with judge_of(
                str(options.program), command, program.parent, options.seed, evidence
            ) as judge:
                judge.compares_speed = True
                return 0 if judge.climb(options.level, first=first, tell=tell)[-1].passed else 1
        except Unplayable as error:
            print(error, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
