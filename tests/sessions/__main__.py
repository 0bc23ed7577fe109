"""`python -m tests.sessions`: one run of the load, in a home of its own; see options.py."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from tests.own_home import own_home
from tests.sessions.load import AGENT_ENV, Outcome, counts, run_load
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
        with _Progress(console) as progress:
            outcome = run_load(
                Stack.start(env=AGENT_ENV),
                seed=chosen.seed,
                seconds=chosen.seconds,
                sessions=chosen.sessions,
                faults=chosen.faults,
                alone=chosen.alone,
                show=progress.show,
            )
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


class _Progress:
    """Shows where a run is: one line that changes on a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, transient=True) if console.is_terminal else None
        self._printed = float("-inf")

    def __enter__(self) -> _Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, line: str) -> None:
        """Show it, unless that was done just now."""
        if self._live:
            self._live.update(line)
        elif time.monotonic() - self._printed >= _EVERY_SECONDS:
            print(line, flush=True)
            self._printed = time.monotonic()


def _report(console: Console, outcome: Outcome, seconds: float) -> None:
    """What the run did, in a table, and what was wrong."""
    table = Table(show_header=False)
    for name, value in (
        ("took", f"{seconds:.0f} s"),
        ("steps", counts(outcome.steps)),
        ("messages accepted", counts(outcome.accepted)),
        ("messages refused", counts(outcome.refused)),
        ("turns", counts(outcome.turns)),
        ("faults", counts(outcome.faults)),
        ("resumed by the operator", str(outcome.resumed)),
        ("model requests", f"{outcome.requests}, {outcome.tokens} completion tokens"),
        ("violations", str(sum(map(len, outcome.violations.values())))),
    ):
        table.add_row(name, value)
    console.print(table)
    for session, wrong in outcome.violations.items():
        for each in wrong:
            print(f"VIOLATION in {session}: {each}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
