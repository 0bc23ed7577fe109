"""`python -m tests.benchmark`: run a benchmark in a home of its own; see options.py."""

from __future__ import annotations

import argparse
import contextlib
import sys

from tests.benchmark import load, long_session
from tests.benchmark.options import parse
from tests.own_home import own_home
from tests.stack import Stack
from workbench.command import run_command


def main(arguments: list[str]) -> int:
    """Measure; 1 is a result that should not be, or no way to measure, and 130 Ctrl-C."""
    chosen = parse(arguments)
    return run_command(lambda: _run(chosen))


def _run(chosen: argparse.Namespace) -> int:
    with own_home("benchmark-"):
        with contextlib.redirect_stdout(sys.stderr):
            stack = Stack.start()
        text, good = _measure(stack, chosen)
    sys.stdout.write(text)
    if chosen.output:
        try:
            chosen.output.write_text(text, encoding="utf-8")
        except OSError as error:
            print(f"Cannot write {chosen.output}: {error.strerror}.", file=sys.stderr)
            return 1
    return 0 if good else 1


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


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
