"""Long steps: a line for each, a sign of life while it runs, its last words if it fails."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from _command import CommandError, child

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class StepFailed(CommandError):
    """A step's program ended with an error; the message ends with what it said last."""


def step(
    title: str,
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    hint: str = "",
) -> None:
    """Run `command` to its end, saying what it is (`title`) and how long it took.

    `env` is added to this process's environment; the command's output goes to the end of `log`.
    Raises StepFailed, with `hint`, if the command exits with anything but 0.
    """
    started = time.monotonic()
    skip = log.stat().st_size if log.exists() else 0
    print(f"  {title} … ", end="", flush=True)
    with child(command, env=env, cwd=cwd, log=log) as process:
        for sign in itertools.cycle(_SPINNER):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
                break
            if sys.stdout.isatty():
                seconds = f"{time.monotonic() - started:.0f} s"
                _redraw(f"{sign} {title} … {seconds}  {_tail(log, skip, 1)}")
    if sys.stdout.isatty():
        _redraw(f"  {title} … ")
    if process.returncode != 0:
        print("failed")
        said = f"{_tail(log, skip, 12)}\n{title}: failed; all it said is in {log}"
        raise StepFailed(f"{said}\n{hint}".rstrip())
    print(f"{time.monotonic() - started:.1f} s")


def _redraw(line: str) -> None:
    width = shutil.get_terminal_size().columns - 1
    print(f"\r\x1b[K{line[:width]}", end="", flush=True)


def _tail(log: Path, skip: int, lines: int) -> str:
    """The last lines of `log`, empty ones aside, after its first `skip` bytes."""
    with log.open("rb") as file:
        file.seek(skip)
        text = file.read().decode(errors="replace")
    return "\n".join([line[:200] for line in text.splitlines() if line.strip()][-lines:])
