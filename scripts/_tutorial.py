"""The command `tutorial`: set up, then hand over to the workbench, which runs in `.venv`."""

from __future__ import annotations

import argparse

import _setup
from _check import run_lessons

_DESCRIPTION = "With no command: set up what is missing, and open JupyterLab at the first lesson."


def main(arguments: list[str]) -> int:
    """Do what the command line says; the exit code is 2 where it cannot be understood."""
    if arguments[:1] == ["run"]:
        run_lessons("run", arguments[1:])
    parser = argparse.ArgumentParser(prog="tutorial", description=_DESCRIPTION)
    commands = parser.add_subparsers(dest="command", metavar="{run,stop}")
    commands.add_parser("run", help="run lessons unattended")
    commands.add_parser("stop", help="stop what earlier sessions left running")
    if parser.parse_args(arguments).command != "stop":
        _setup.ensure()
        _setup.become("workbench.jupyterlab", "open")
    if not _setup.PYTHON.exists():  # to stop is not to set up
        print("Nothing was ever started here.")
        return 0
    _setup.become("workbench.jupyterlab", "stop")
