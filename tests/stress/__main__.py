"""`python -m tests.stress`: one run in a home of its own; `scripts/stress` has the defaults."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console

from tests.stack import Stack
from tests.stress.harness import AGENT_ENV, stress
from tests.stress.progress import ProgressLine
from tests.stress.report import show_report
from workbench.errors import WorkbenchError
from workbench.home import REPOSITORY, as_home
from workbench.stop_all import stop_all

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: list[str]) -> int:
    """Run it; 1 is a violation, or no way to run, and 130 Ctrl-C."""
    chosen = _parser().parse_args(arguments)
    for number in _SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, _interrupt)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "RESTATE_MODE"):  # no real provider
        os.environ.pop(name, None)
    print(f"Seed {chosen.seed}", flush=True)
    try:
        with _home() as home:
            return _run(chosen, home)
    except WorkbenchError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; all that was started has ended.", file=sys.stderr)
        return 130


def _run(chosen: argparse.Namespace, home: Path) -> int:
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
    kept = Path(tempfile.mkdtemp(prefix=f"stress-{chosen.seed}-", dir=_logs_folder()))
    shutil.copytree(home / "logs", kept, dirs_exist_ok=True)
    for session, picture in outcome.pictures.items():
        (kept / f"{session}.json").write_text(json.dumps(asdict(picture), indent=1))
    print(f"The logs of this run, and what was seen of the sessions, are in {kept}")
    return 1


@contextmanager
def _home() -> Iterator[Path]:
    """A home of its own; in the end all that was started in it has ended, and it is gone."""
    (REPOSITORY / ".workbench").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="stress-", dir=REPOSITORY / ".workbench"))
    try:
        with as_home(folder):
            try:
                yield folder
            finally:
                for number in _SIGNALS:  # what ends everything is not interrupted
                    signal.signal(number, signal.SIG_IGN)
                stop_all()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _logs_folder() -> Path:
    folder = REPOSITORY / ".workbench" / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


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
