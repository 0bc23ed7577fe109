"""Ends what sessions and runs have started: kernels, and the processes of their homes.

A run has a folder of its own in the workbench's home, with a home for each of its jobs, so that it
never meets a reader's open lessons.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import psutil

from workbench.clients import wait_until
from workbench.lesson import stop_all
from workbench.state_dir import state_dir, use_state_dir

JOB = "job-"
"""How the home of a job is called, in the folder of its run."""

JUPYTER = "jupyter"
"""The folder of Jupyter's and IPython's files, in the folder of a run and in a home."""

_RUN = "run-"
# The homes that scripts of these names make.
_CHECKS = ("test-*", "benchmark-*", "stress-*", "claims-*")


def new_run() -> Path:
    """A new folder for a run."""
    return Path(tempfile.mkdtemp(prefix=_RUN, dir=state_dir()))


def end_run(folder: Path) -> list[str]:
    """End all that runs below a run's folder and remove the folder; the names of what was ended."""
    kill(_kernels(folder / JUPYTER))
    names = []
    for job in sorted(folder.glob(f"{JOB}*")):
        with use_state_dir(job):
            names += stop_all(remove_volume=True)
    names += kill(processes_below(folder))
    shutil.rmtree(folder, ignore_errors=True)
    return names


def end_session() -> list[str]:
    """End JupyterLab, its kernels, and what was started in this home; the names of what ended."""
    kill(_kernels(state_dir() / JUPYTER))
    return stop_all()


def end_everything() -> list[str]:
    """End sessions, runs and checks in this home and below; the names of what was ended."""
    names = [name for run in sorted(state_dir().glob(f"{_RUN}*")) for name in end_run(run)]
    names += [*end_session(), *kill(processes_below(state_dir()))]
    for checks in _CHECKS:
        for folder in state_dir().glob(checks):
            shutil.rmtree(folder, ignore_errors=True)
    return names


def _kernels(base: Path) -> list[psutil.Process]:
    """The kernels whose files are below `base`."""
    return [one for one in processes_below(base) if "ipykernel_launcher" in one.info["cmdline"]]


def processes_below(folder: Path) -> list[psutil.Process]:
    """The processes that were told to keep the workbench's or Jupyter's files below `folder`.

    Each has its command line in `info["cmdline"]`.

    A kernel hands that on to what it starts, so this finds also what it had no time to record.
    """
    found = []
    for one in psutil.process_iter(["cmdline", "environ"]):
        environment = one.info["environ"] or {}  # None: not for our eyes
        told = (environment.get(name) for name in ("WORKBENCH_HOME", "JUPYTER_RUNTIME_DIR"))
        is_below = any(path and Path(path).is_relative_to(folder) for path in told)
        if is_below and one.info["cmdline"] and one.pid != os.getpid():
            found.append(one)
    return found


def kill(processes: list[psutil.Process]) -> list[str]:
    """Kill what `processes_below` has found, and wait until it is gone; the programs' names."""
    for one in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    wait_until(lambda: all(map(_is_gone, processes)), what="killed processes to be gone")
    return [Path(one.info["cmdline"][0]).name for one in processes]


def _is_gone(one: psutil.Process) -> bool:
    try:
        return bool(one.status() == psutil.STATUS_ZOMBIE)  # its parent has not looked yet
    except psutil.NoSuchProcess:
        return True
