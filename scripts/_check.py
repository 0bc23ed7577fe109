"""The command `check`: set up, then hand over to `notebooks`, which runs in `.venv`."""

from __future__ import annotations

import sys
from typing import NoReturn

import _setup


def main(arguments: list[str]) -> NoReturn:
    """Do what the command line says; the exit code is 2 where it cannot be understood."""
    run_lessons("check", arguments)


def run_lessons(command: str, arguments: list[str]) -> NoReturn:
    """Become `python -m notebooks`, once its arguments are understood and all is set up."""
    sys.path.insert(0, str(_setup.REPOSITORY))
    from notebooks.__main__ import parse

    parse([command, *arguments])
    _setup.ensure()
    _setup.become("notebooks", command, *arguments)
