"""`python -m tests.sessions`: one run of the load, in a home of its own; see options.py."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tests.sessions.load import AGENT_ENV, run_load, shown
from tests.sessions.options import parse
from tests.stack import Stack
from workbench.command import run_command
from workbench.own_home import own_home
from workbench.state_dir import state_dir

_EVERY_SECONDS = 10.0  # a line of progress


def main(arguments: list[str]) -> int:
    """Run it; 1 is a violation, or no way to run, and 130 Ctrl-C."""
    return run_command(partial(_run, parse(arguments), state_dir() / "logs"))


def _run(chosen: argparse.Namespace, logs: Path) -> int:
    again = (
        f"./scripts/stress --seconds {chosen.seconds:g} --sessions {chosen.sessions} "
        f"--faults {','.join(chosen.faults) or 'none'} --seed {chosen.seed}"
        f"{' --cluster' if chosen.cluster else ''}"
    )
    print(f"The same steps again: {again}", flush=True)
    printed = time.monotonic()

    def show(line: str) -> None:
        nonlocal printed
        if time.monotonic() - printed >= _EVERY_SECONDS:
            print(line, flush=True)
            printed = time.monotonic()

    with own_home("stress-") as folder:
        options = vars(chosen)
        stack = Stack.start(env=AGENT_ENV, cluster=options.pop("cluster"))
        outcome = run_load(stack, show=show, **options)
        for name, counts in outcome.counts.items():
            print(f"{name:<18} {shown(counts)}")
        print(f"{'violations':<18} {sum(map(len, outcome.violations.values()))}")
        for session, wrong in outcome.violations.items():
            for each in wrong:
                print(f"VIOLATION in {session}: {each}")
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
