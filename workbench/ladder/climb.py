"""The ladder from a notebook: a file to begin with, the judge, and the way from level to level."""

from __future__ import annotations

import difflib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from workbench.ladder.levels import FOLDER, LEVELS
from workbench.state_dir import REPOSITORY, WorkbenchError, state_dir

_SOLUTIONS = FOLDER / "solutions"
_LOST = re.compile("✗ Level ([0-9]+)")


def begin(program: str = "my_agent.py") -> None:
    """Make a file that passes level 0, to go on from. One that is there stays as it is."""
    path = _place(program)
    if path.exists():
        print(f"{program} is there already")
    else:
        shutil.copyfile(_SOLUTIONS / "level_00.py", path)
        print(f"Made {program}, next to this notebook.")


def judge(level: int, program: str = "my_agent.py", *, seed: int = 1) -> int | None:
    """Play the levels up to `level` with a program and print the verdicts, as `./scripts/judge`.

    `seed` repeats a run: the same names, order and storm. Returns the level that was lost, if one
    was. Raises WorkbenchError if there is no such file.
    """
    path = _place(program)
    if not path.exists():
        raise WorkbenchError(f"There is no {program} here. wb.begin() makes one to go on from.")
    folder = REPOSITORY if path.is_relative_to(REPOSITORY) and not _is_check() else path.parent
    shown = str(path.relative_to(folder))  # as a shell in the repository would name it
    command = [sys.executable, "-m", "notebooks.ladder", shown]
    running = subprocess.Popen(
        [*command, "--level", str(level), "--seed", str(seed)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert running.stdout
    lost = None
    try:
        for line in running.stdout:
            print(line, end="")
            if found := _LOST.match(line):
                lost = int(found[1])
        running.wait()
    except KeyboardInterrupt:  # the cell was stopped
        running.send_signal(signal.SIGINT)
        running.wait(30)
        raise
    finally:
        running.stdout.close()
    return lost


def show_step(level: int) -> None:
    """Print what the solution of `level` has changed in that of the level before."""
    if not 1 <= level <= LEVELS[-1].number:
        raise WorkbenchError(
            f"There is no step to level {level!r}; they are 1 to {len(LEVELS) - 1}."
        )
    before, after = (
        (_SOLUTIONS / f"level_{number:02d}.py").read_text(encoding="utf-8").splitlines()
        for number in (level - 1, level)
    )
    print("\n".join([*difflib.unified_diff(before, after, n=2, lineterm="")][2:]))


def _place(program: str) -> Path:
    """Where a program is: beside the notebook, or apart from the repository in a check of it."""
    return (state_dir() if _is_check() else Path.cwd()) / program


def _is_check() -> bool:
    return os.environ.get("WORKBENCH_KEYS") == "counted"
