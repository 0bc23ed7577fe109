"""`python -m tests.sessions`: one run of the load, in a home of its own; see options.py."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.status import Status
from rich.table import Table

from tests.own_home import own_home
from tests.sessions.load import AGENT_ENV, Outcome, run_load, shown
from tests.sessions.options import parse
from tests.stack import Stack
from workbench.command import run_command
from workbench.state_dir import state_dir

_EVERY_SECONDS = 10.0  # a line of progress, where there is no terminal


def main(arguments: list[str]) -> int:
    """Run it; 1 is a violation, or no way to run, and 130 Ctrl-C."""
    chosen = parse(arguments)
    print(f"Seed {chosen.seed}", flush=True)
    logs = state_dir() / "logs"
    return run_command(lambda: _run(chosen, logs))


def _run(chosen: argparse.Namespace, logs: Path) -> int:
    console = Console(highlight=False)
    started = time.monotonic()
    with own_home("stress-") as folder:
        with console.status("starting") as status:
            stack = Stack.start(env=AGENT_ENV)
            outcome = run_load(stack, show=_progress(status), **vars(chosen))
        _report(console, outcome, time.monotonic() - started)
        print(
            f"Seed {chosen.seed}; the same steps again: ./scripts/stress --seconds "
            f"{chosen.seconds:g} --sessions {chosen.sessions} "
            f"--faults {','.join(chosen.faults) or 'none'} "
            f"--seed {chosen.seed}" + " --alone" * chosen.alone
        )
        if not outcome.violations:
            return 0
        logs.mkdir(parents=True, exist_ok=True)
        kept = Path(tempfile.mkdtemp(prefix=f"stress-{chosen.seed}-", dir=logs))
        shutil.copytree(folder / "logs", kept, dirs_exist_ok=True)
        for session, seen in outcome.seen.items():
            text = json.dumps(seen, indent=1, default=asdict)
            (kept / f"{session}.json").write_text(text)
    print(f"The logs of this run, and what was seen of the sessions, are in {kept}")
    return 1


def _progress(status: Status) -> Callable[[str], None]:
    """Shows where a run is: one line that changes on a terminal, a line now and then elsewhere."""
    printed = float("-inf")

    def show(line: str) -> None:
        nonlocal printed
        if status.console.is_terminal:
            status.update(line)
        elif time.monotonic() - printed >= _EVERY_SECONDS:
            print(line, flush=True)
            printed = time.monotonic()

    return show


def _report(console: Console, outcome: Outcome, seconds: float) -> None:
    """What the run did, in a table, and what was wrong."""
    table = Table(show_header=False)
    table.add_row("took", f"{seconds:.0f} s")
    for name, counts in outcome.counts.items():
        table.add_row(name, shown(counts))
    table.add_row("violations", str(sum(map(len, outcome.violations.values()))))
    console.print(table)
    for session, wrong in outcome.violations.items():
        for each in wrong:
            print(f"VIOLATION in {session}: {each}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
