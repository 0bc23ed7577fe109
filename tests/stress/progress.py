"""Shows where a run is: one line that changes on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time

from rich.console import Console
from rich.live import Live

from tests.stress.harness import Progress
from tests.stress.report import counts

_EVERY_SECONDS = 10.0


class ProgressLine:
    """A context manager; give it what is to be seen."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, transient=True) if console.is_terminal else None
        self._printed: tuple[str, float] = ("", 0.0)

    def __enter__(self) -> ProgressLine:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, progress: Progress) -> None:
        """Show it, unless that was done just now."""
        doing, at = self._printed
        if self._live:
            self._live.update(_line(progress))
        elif progress.doing != doing or time.monotonic() - at >= _EVERY_SECONDS:
            print(_line(progress))
            self._printed = (progress.doing, time.monotonic())


def _line(progress: Progress) -> str:
    left = f"{progress.seconds_left:.0f} s left" if progress.seconds_left else progress.doing
    return (
        f"{left} · {progress.messages} messages · turns: {counts(progress.tasks)} · "
        f"faults: {counts(progress.faults)}"
    )
