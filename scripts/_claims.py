"""The command `claims`: set up, then hand over to tests/claims, which runs in `.venv`."""

from __future__ import annotations

import contextlib
import os
import sys

import _setup


def main(arguments: list[str]) -> int:
    """Set up, and become `python -m tests.claims`."""
    sys.path.insert(0, str(_setup.REPOSITORY))
    from tests.claims.options import parse

    parse(arguments)  # help and mistakes end here, before anything is set up
    os.environ["RESTATE_MODE"] = "embedded"  # other versions can be had in that mode only
    with contextlib.redirect_stdout(sys.stderr):  # stdout is for the tables
        _setup.ensure()
    _setup.become("tests.claims", *arguments)
