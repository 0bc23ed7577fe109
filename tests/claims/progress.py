"""Shows how far the probes are: one line that changes on a terminal, a line a column elsewhere."""

from __future__ import annotations

import time

from rich.console import Console
from rich.live import Live

from tests.claims.claim import Claim


class Progress:
    """A context manager for the probes of one column; give it each claim that is done."""

    def __init__(self, console: Console, title: str, count: int) -> None:
        self._live = Live(console=console, transient=True) if console.is_terminal else None
        self._console, self._title, self._count, self._done = console, title, count, 0
        self._began = time.monotonic()

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
            self._live.update(f"{self._title}: 0 of {self._count} claims")
        return self

    def __exit__(self, kind: object, *exc_info: object) -> None:
        if self._live:
            self._live.stop()
        if kind is None:
            seconds = time.monotonic() - self._began
            many = "1 claim" if self._done == 1 else f"{self._done} claims"
            self._console.print(f"{self._title}: {many} in {seconds:.0f} s")

    def done(self, claim: Claim) -> None:
        self._done += 1
        if self._live:
            self._live.update(f"{self._title}: {self._done} of {self._count} claims · {claim.id}")
