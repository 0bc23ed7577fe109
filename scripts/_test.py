"""The command `test`: set up, then every check to its end, whatever the ones before it said."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import _setup
from _command import child

_HELP = """\
usage: test [-h] [-- PYTEST_ARGUMENT ...]

Set up what is missing; then lint and format (ruff), types (mypy), tests (pytest), all lessons.
"""


def main(arguments: list[str]) -> int:
    """Run the stages; the exit code is 1 if one failed, 2 for arguments that mean nothing."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    if arguments[:end] in (["-h"], ["--help"]):
        print(_HELP, end="")
        return 0
    if arguments[:end]:
        unknown = " ".join(arguments[:end])
        print(f"{_HELP}test: error: unrecognized arguments: {unknown}", file=sys.stderr)
        return 2
    _setup.ensure()
    with _home() as home:
        outcomes = [
            (name, *_run(name, command))
            for name, command in _stages(home, arguments[end + 1 :]).items()
        ]
    print(f"\n{' summary ':─^80}")
    for name, passed, seconds in outcomes:
        print(f"{name:<8} {'passed' if passed else 'FAILED'} {seconds:7.1f} s")
    failed = [name for name, passed, _ in outcomes if not passed]
    print(f"failed: {', '.join(failed)}" if failed else "all passed")
    return 1 if failed else 0


def _stages(home: Path, pytest_arguments: list[str]) -> dict[str, list[str | Path]]:
    return {
        "lint": ["ruff", "check", "."],
        "format": ["ruff", "format", "--check", "."],
        "types": ["mypy"],
        "tests": [
            # Tests wait more than they compute, each worker with servers of its own.
            *("pytest", "-n", "3", "--dist", "loadgroup", "--basetemp", home / "pytest"),
            *pytest_arguments,
        ],
        "series": ["notebooks", "check"],
    }


def _run(name: str, module: list[str | Path]) -> tuple[bool, float]:
    """Run one stage; whether it passed, and its seconds."""
    print(f"\n{f' {name} ':─^80}")
    started = time.monotonic()
    with child([_setup.PYTHON, "-m", *module], cwd=_setup.REPOSITORY) as stage:
        code = stage.wait()
    return code == 0, time.monotonic() - started


@contextlib.contextmanager
def _home() -> Iterator[Path]:
    """A home for what the stages start, apart from the reader's; emptied in the end."""
    _setup.WORKBENCH.mkdir(exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="test-", dir=_setup.WORKBENCH))
    os.environ["WORKBENCH_HOME"] = str(home)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):  # checks ask no real provider
        os.environ.pop(name, None)
    try:
        yield home
    finally:
        stop_command: list[str | Path] = [_setup.PYTHON, "-m", "workbench.jupyterlab", "stop"]
        with child(stop_command, log=home / "stop.log") as stop:
            stop.wait()
        shutil.rmtree(home, ignore_errors=True)
