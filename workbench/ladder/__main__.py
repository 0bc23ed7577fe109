"""`python -m workbench.ladder my_agent.py`, the command `judge`."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

from workbench.command import ignore_signals, run_command
from workbench.ladder.judge import Verdict, judge_of
from workbench.ladder.levels import LEVELS
from workbench.ladder.verdict import Unplayable
from workbench.lesson import stop_all
from workbench.state_dir import REPOSITORY, state_dir, use_state_dir


def main() -> int:
    """1 is a level that is lost, 2 a program that cannot be judged, 130 Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="judge",
        description="Judge an agent of your own, level by level, from outside. The pages of the"
        " levels are in notebooks/ladder.",
    )
    parser.add_argument("program", help="a Python file that serves Restate on AGENT_BIND")
    parser.add_argument("--level", type=int, metavar="N", help="play levels 0 to N (0)")
    parser.add_argument("--only", action="store_true", help="play level N alone")
    parser.add_argument("--all", action="store_true", help="play all levels")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="repeat a run (1)")
    parser.add_argument(
        "--command", metavar="C", help="how to start it, if it is no Python: 'node agent.js'"
    )
    options = parser.parse_args()
    last = LEVELS[-1].number if options.all else options.level or 0
    if not 0 <= last <= LEVELS[-1].number:
        parser.error(f"the levels are 0 to {LEVELS[-1].number}")
    path = Path(options.program).resolve()
    if not options.command and not path.is_file():
        parser.error(f"there is no file {options.program}")
    command = shlex.split(options.command or "") or [sys.executable, str(path)]
    return run_command(lambda: _judge(options.program, command, path.parent, last, options))


def _judge(
    program: str, command: list[str], folder: Path, last: int, options: argparse.Namespace
) -> int:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "RESTATE_MODE"):
        os.environ.pop(name, None)
    home = Path(tempfile.mkdtemp(prefix="ladder-", dir=state_dir()))
    evidence = REPOSITORY / "build" / "ladder"

    def tell(verdict: Verdict) -> None:
        print(verdict.text(program), flush=True)

    try:
        with (
            use_state_dir(home),
            judge_of(program, command, folder, seed=options.seed, evidence=evidence) as judge,
        ):
            first = last if options.only else 0
            played = judge.climb(last, first=first, tell=tell)
            return 0 if played[-1].passed else 1
    except Unplayable as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        ignore_signals()
        with use_state_dir(home):
            stop_all()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
