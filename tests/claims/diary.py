"""What handlers did, in the order in which they did it.

The handlers of the probes run in this process, one event loop for all, so the order of their notes
is the order of what happened. A handler is held where a probe wants it by a gate.
"""

from __future__ import annotations

from tests.gate import Gate
from workbench import wait_until


class Diary:
    """The notes of one file's handlers, each belonging to a run, which is a name of one probe's."""

    def __init__(self) -> None:
        self._notes: list[tuple[str, str]] = []
        self._gates: dict[str, Gate] = {}

    def note(self, run: str, what: str) -> None:
        self._notes.append((run, what))

    def of(self, run: str) -> list[str]:
        return [what for of, what in list(self._notes) if of == run]

    def wait(self, run: str, what: str, *, times: int = 1) -> None:
        """Wait until a run has this note so often."""
        wait_until(
            lambda: self.of(run).count(what) >= times,
            what=f"{what!r}, {times} times, among what the handlers of {run} did",
        )

    def gate(self, run: str) -> Gate:
        return self._gates.setdefault(run, Gate())
