"""What the processes of a benchmark cost: memory, and their share of a core over a while."""

from __future__ import annotations

import time
from collections.abc import Mapping

import psutil


class Meter:
    """Counts from when it is made."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._began = time.monotonic()
        self._before = self._cpu_seconds()

    def cores(self) -> dict[str, float]:
        """How many cores each process has used since; 1.0 is one core, all of the time."""
        seconds = time.monotonic() - self._began
        return {
            name: (now - self._before[name]) / seconds for name, now in self._cpu_seconds().items()
        }

    def memory(self) -> dict[str, float]:
        """Resident set size of each process, in MB."""
        return {name: each.memory_info().rss / 1e6 for name, each in self._processes.items()}

    def _cpu_seconds(self) -> dict[str, float]:
        times = {name: each.cpu_times() for name, each in self._processes.items()}
        return {name: each.user + each.system for name, each in times.items()}
