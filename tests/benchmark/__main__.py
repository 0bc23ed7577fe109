"""`python -m tests.benchmark`: run the benchmark in a home of its own; see options.py."""

from __future__ import annotations

import argparse
import contextlib
import sys
from functools import partial

from tests.benchmark import load
from tests.benchmark.options import parse
from tests.benchmark.report import report
from tests.stack import Stack
from workbench.command import run_command
from workbench.own_home import own_home


def main(arguments: list[str]) -> int:
    """Measure; 1 is a result that should not be, or no way to measure, and 130 Ctrl-C."""
    return run_command(partial(_run, parse(arguments)))


def _run(chosen: argparse.Namespace) -> int:
    progress = partial(print, file=sys.stderr, flush=True)
    with own_home("benchmark-"):
        with contextlib.redirect_stdout(sys.stderr):
            stack = Stack.start()
        results = load.measure(stack, chosen.sessions, chosen.runs, chosen.rounds, progress)
        sys.stdout.write(report(stack, results))
    return int(load.failed(results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
