"""Ends what sessions and runs have started: kernels, and the processes of their homes.

A run has a folder of its own in the workbench's home, with a home for each of its jobs, so that it
never meets a reader's open lessons.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from workbench import process
from workbench.home import home
from workbench.series.folders import jupyter_folders

JOB = "job-"
"""How the home of a job is called, in the folder of its run."""

JUPYTER = "jupyter"
"""The folder of Jupyter's and IPython's files, in the folder of a run and in a home."""

_RUN = "run-"


def new_run() -> Path:
    """A new folder for a run."""
    return Path(tempfile.mkdtemp(prefix=_RUN, dir=home()))


def end_run(folder: Path) -> list[str]:
    """End all that runs below a run's folder and remove the folder; the names of what was ended."""
    with _kernels_ended(folder / JUPYTER):
        names = []
        for job in sorted(folder.glob(f"{JOB}*")):
            with _as_home(job):
                names += process.stop_all()
    shutil.rmtree(folder, ignore_errors=True)
    return names


def end_everything() -> list[str]:
    """End what sessions and runs have left in this home; the names of what was ended."""
    names = [name for run in sorted(home().glob(f"{_RUN}*")) for name in end_run(run)]
    with _kernels_ended(home() / JUPYTER):
        return names + process.stop_all()


@contextlib.contextmanager
def _kernels_ended(base: Path) -> Iterator[None]:
    """Kill the kernels whose files are below `base`, and in the end whatever else is.

    The block stops, in order, what is recorded; but a kernel that was killed a moment ago may have
    started something that is not recorded yet.
    """
    _kill([one for one in _below(base) if "ipykernel_launcher" in one.info["cmdline"]])
    yield
    _kill(_below(base))


def _below(base: Path) -> list[psutil.Process]:
    """The processes that were told to keep Jupyter's files below `base`; kernels hand that on."""
    name = "JUPYTER_RUNTIME_DIR"
    folder = jupyter_folders(base)[name]
    return [
        one
        for one in psutil.process_iter(["cmdline", "environ"])
        if one.info["cmdline"] and (one.info["environ"] or {}).get(name) == folder
    ]


def _kill(processes: list[psutil.Process]) -> None:
    for one in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(processes, timeout=5)


@contextlib.contextmanager
def _as_home(folder: Path) -> Iterator[None]:
    before = os.environ.get("WORKBENCH_HOME")
    os.environ["WORKBENCH_HOME"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["WORKBENCH_HOME"]
        else:
            os.environ["WORKBENCH_HOME"] = before
