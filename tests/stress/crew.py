"""Threads that work side by side: the first that fails is the failure of all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Crew:
    """Daemon threads, so that Ctrl-C need not wait for those that wait for an answer."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._failure: BaseException | None = None

    def start(self, work: Callable[[], None]) -> None:
        """Do `work` in a thread of its own."""

        def run() -> None:
            try:
                work()
            except BaseException as error:
                self._failure = self._failure or error

        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()

    def join(self, timeout: float = 0.0) -> bool:
        """Whether all are done after `timeout` seconds. Raises what the first to fail raised."""
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self._failure:
            raise self._failure
        return not any(thread.is_alive() for thread in self._threads)
