"""`python -m tests.stress`: one run in a home of its own; see options.py."""

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

from tests.own_home import own_home
from tests.stack import Stack
from tests.stress.harness import AGENT_ENV, stress
from tests.stress.options import parse
from tests.stress.progress import ProgressLine
from tests.stress.report import show_report
from workbench.command import run_command
from workbench.home import home


def main(arguments: list[str]) -> int:
    """Run it; 1 is a violation, or no way to run, and 130 Ctrl-C."""
    chosen = parse(arguments)
    print(f"Seed {chosen.seed}", flush=True)
    logs = home() / "logs"
    return run_command(lambda: _run(chosen, logs))


def _run(chosen: argparse.Namespace, logs: Path) -> int:
    with own_home("stress-") as folder:
        return _stress(chosen, folder, logs)


def _stress(chosen: argparse.Namespace, folder: Path, logs: Path) -> int:
    console = Console(highlight=False)
    started = time.monotonic()
    with ProgressLine(console) as line:
        outcome = stress(
            Stack.start(env=AGENT_ENV),
            seed=chosen.seed,
            seconds=chosen.seconds,
            sessions=chosen.sessions,
            faults=chosen.faults,
            alone=chosen.alone,
            show=line.show,
        )
    show_report(console, outcome, time.monotonic() - started)
    faults = ",".join(chosen.faults) or "none"
    print(
        f"Seed {chosen.seed}; the same actions again: ./scripts/stress --seconds {chosen.seconds:g}"
        f" --sessions {chosen.sessions} --faults {faults} --seed {chosen.seed}"
        + " --alone"
        * chosen.alone
    )
    if not outcome.violations:
        return 0
    logs.mkdir(parents=True, exist_ok=True)
    kept = Path(tempfile.mkdtemp(prefix=f"stress-{chosen.seed}-", dir=logs))
    shutil.copytree(folder / "logs", kept, dirs_exist_ok=True)
    for session, picture in outcome.pictures.items():
        (kept / f"{session}.json").write_text(json.dumps(asdict(picture), indent=1))
    print(f"The logs of this run, and what was seen of the sessions, are in {kept}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
