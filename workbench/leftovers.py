"""Finds and ends processes by the state folder that they were told to use.

A run has a folder of its own in the workbench's home, with a home for each of its jobs, so that it
never meets a reader's open lessons.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
from pathlib import Path

import psutil

from workbench.clients import WaitTimeout, wait_until
from workbench.ids import clipped
from workbench.lesson import stop_all
from workbench.process import recorded_pids
from workbench.state_dir import state_dir, use_state_dir

RUN = "run-"
"""Prefix of a run's folder in the state folder."""

JOB = "job-"
"""Prefix of a job's state folder in the folder of its run."""

_CHECKS = (
    "test-*",
    "benchmark-*",
    "stress-*",
    "claims-*",
    "ladder-*",
)  # homes of scripts of these names
_GRACE_SECONDS = 2.0  # some processes end a moment after their kernel


def processes_below(folder: Path) -> list[psutil.Process]:
    """The processes that were told to keep the workbench's or Jupyter's files below `folder`.

    Each has its command line in `info["cmdline"]`. A kernel hands its environment on to what it
    starts, so this finds also what it had no time to record.
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


def kill_kernels(folder: Path) -> None:
    """Kill the kernels that keep their files below `folder`."""
    kill([one for one in processes_below(folder) if "ipykernel_launcher" in one.info["cmdline"]])


def end_leftovers(job: Path) -> list[str]:
    """End what a lesson whose kernel has ended left running; a line for each process.

    What the workbench started in the home `job` is on record and stays for the next lesson.
    """
    with contextlib.suppress(WaitTimeout):
        wait_until(lambda: not _unrecorded(job), what="processes to end", timeout=_GRACE_SECONDS)
    found = _unrecorded(job)
    kill(found)
    return [f"pid {one.pid}: {clipped(shlex.join(one.info['cmdline']), 200)}" for one in found]


def end_run(folder: Path) -> list[str]:
    """End all that runs below a run's folder and remove the folder; the names of what was ended."""
    kill_kernels(folder)
    names = []
    for job in sorted(folder.glob(f"{JOB}*")):
        with use_state_dir(job):
            names += stop_all(remove_volume=True)
    names += kill(processes_below(folder))
    shutil.rmtree(folder, ignore_errors=True)
    return names


def end_everything() -> list[str]:
    """End sessions, runs and checks in this home and below; the names of what was ended."""
    names = [name for run in sorted(state_dir().glob(f"{RUN}*")) for name in end_run(run)]
    kill_kernels(state_dir())
    names += [*stop_all(), *kill(processes_below(state_dir()))]
    for checks in _CHECKS:
        for folder in state_dir().glob(checks):
            shutil.rmtree(folder, ignore_errors=True)
    return names


def _unrecorded(job: Path) -> list[psutil.Process]:
    kept = recorded_pids(job)
    return [one for one in processes_below(job) if _session(one.pid) not in kept]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def _is_gone(one: psutil.Process) -> bool:
    try:
        return bool(one.status() == psutil.STATUS_ZOMBIE)  # its parent has not looked yet
    except psutil.NoSuchProcess:
        return True
