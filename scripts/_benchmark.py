"""The command `benchmark`: set up, then hand over to tests/benchmark, which runs in `.venv`."""

from __future__ import annotations

import contextlib
import os
import sys

import _setup


def main(arguments: list[str]) -> int:
    """Set up, and become `python -m tests.benchmark`."""
    sys.path.insert(0, str(_setup.REPOSITORY))
    from tests.benchmark.options import parse

    parse(arguments)  # help and mistakes end here, before anything is set up
    os.environ["RESTATE_MODE"] = "embedded"  # as the benchmark starts it
    with contextlib.redirect_stdout(sys.stderr):  # stdout is for the table
        _setup.ensure()
    _setup.become("tests.benchmark", *arguments)
