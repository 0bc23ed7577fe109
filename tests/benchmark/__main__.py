"""`python -m tests.benchmark`: run a benchmark in a home of its own; see options.py."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tests.benchmark import load, long_session
from tests.benchmark.options import parse
from tests.stack import Stack
from workbench import stop_all
from workbench.errors import WorkbenchError
from workbench.home import as_home, home

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: list[str]) -> int:
    """Measure; 1 is a result that should not be, or no way to measure, and 130 Ctrl-C."""
    chosen = parse(arguments)
    for number in _SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, _interrupt)
    try:
        with _stack() as stack:
            text, good = _measure(stack, chosen)
    except WorkbenchError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; all that was started has ended.", file=sys.stderr)
        return 130
    sys.stdout.write(text)
    if chosen.output:
        try:
            chosen.output.write_text(text, encoding="utf-8")
        except OSError as error:
            print(f"Cannot write {chosen.output}: {error.strerror}.", file=sys.stderr)
            return 1
    return 0 if good else 1


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    for number in _SIGNALS:  # what ends everything is not interrupted again
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _measure(stack: Stack, chosen: argparse.Namespace) -> tuple[str, bool]:
    """The report, and whether what it says is good."""
    if chosen.command == "load":
        results = load.measure(
            stack,
            sessions=chosen.sessions,
            rounds=chosen.rounds,
            seconds=chosen.seconds,
            tokens_per_second=chosen.tokens_per_second,
            progress=_progress,
        )
        text = load.report(stack, results)
        return text, not load.failed(results)
    costs = long_session.measure(stack, turns=chosen.turns, progress=_progress)
    return long_session.report(stack, costs), not long_session.failed(costs)


@contextlib.contextmanager
def _stack() -> Iterator[Stack]:
    """Server, model and agent in a new home, which is removed in the end."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "RESTATE_MODE"):  # nothing real is asked
        os.environ.pop(name, None)
    folder = Path(tempfile.mkdtemp(prefix="benchmark-", dir=home()))
    with as_home(folder):
        try:
            with contextlib.redirect_stdout(sys.stderr):
                stack = Stack.start()
            yield stack
        finally:
            stop_all()
            shutil.rmtree(folder, ignore_errors=True)


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
