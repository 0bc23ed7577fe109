"""`python -m tests.stress`: one run in a home of its own; `scripts/stress` has the defaults."""

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
from tests.stress.progress import ProgressLine
from tests.stress.report import show_report
from workbench.command import run_command
from workbench.state_dir import state_dir


def main(arguments: list[str]) -> int:
    """Run it; 1 is a violation, or no way to run, and 130 Ctrl-C."""
    chosen = _parser().parse_args(arguments)
    print(f"Seed {chosen.seed}", flush=True)
    logs = state_dir() / "logs"
    return run_command(lambda: _run(chosen, logs))


def _run(chosen: argparse.Namespace, logs: Path) -> int:
    with own_home("stress-") as folder:
        return _stress(chosen, folder, logs)


def _stress(chosen: argparse.Namespace, folder: Path, logs: Path) -> int:
    faults = tuple(name for name in chosen.faults.split(",") if name)
    console = Console(highlight=False)
    started = time.monotonic()
    with ProgressLine(console) as line:
        outcome = stress(
            Stack.start(env=AGENT_ENV),
            seed=chosen.seed,
            seconds=chosen.seconds,
            sessions=chosen.sessions,
            faults=faults,
            alone=chosen.alone,
            show=line.show,
        )
    show_report(console, outcome, time.monotonic() - started)
    print(
        f"Seed {chosen.seed}; the same actions again: ./scripts/stress --seconds {chosen.seconds:g}"
        f" --sessions {chosen.sessions} --faults {chosen.faults or 'none'} --seed {chosen.seed}"
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--sessions", type=int, required=True)
    parser.add_argument("--faults", required=True, help="names with commas; empty for none")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--alone", action="store_true", help="nobody resumes what is paused")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
