"""Finds what a lesson leaves running that nobody is going to end.

What the workbench has started for a lesson (server, agent, model) is recorded in the home, found by
the next lesson, and ended with the run. Anything else has to end with the lesson's kernel.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from pathlib import Path

import psutil

from workbench.clients import WaitTimeout, wait_until
from workbench.ids import clipped
from workbench.process import recorded_pids
from workbench.series.ending import kill, processes_below
from workbench.series.outcome import LEFT_RUNNING, Failure

_GRACE_SECONDS = 2.0  # some end by themselves a moment after their kernel


def end_leftovers(home: Path) -> Failure | None:
    """End what runs in a job's `home` without a record; the failure that this is, if any did.

    To be called when the lesson's kernel has ended.
    """
    with contextlib.suppress(WaitTimeout):
        wait_until(lambda: not _leftovers(home), what="processes to end", timeout=_GRACE_SECONDS)
    found = _leftovers(home)
    if not found:
        return None
    lines = [f"  {_describe(one)}" for one in found]
    kill(found)
    return Failure(
        LEFT_RUNNING,
        "\n".join(["Still running after the lesson's kernel had ended, now ended too:", *lines]),
    )


def _leftovers(home: Path) -> list[psutil.Process]:
    kept = recorded_pids(home)
    return [one for one in processes_below(home) if _session(one.pid) not in kept]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def _describe(one: psutil.Process) -> str:
    return f"pid {one.pid}: {clipped(shlex.join(one.info['cmdline']), 200)}"
