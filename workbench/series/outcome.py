"""What became of a lesson, as data: the terminal, the site and the JUnit file all tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

FAILED = "failed"
"""The kind of a failure that the lesson's own code raised."""

KERNEL_DIED = "kernel died"
NO_KERNEL = "kernel did not start"
TOOK_TOO_LONG = "took too long"
NO_SPACE = "no space left"
LEFT_RUNNING = "left processes running"
DIFFERS = "differs"
"""The kind of a failure that is an output other than the committed one."""

MALFORMED = "malformed"
"""The kind of a failure that can be seen without running the lesson."""

OF_THE_NOTEBOOK = frozenset({DIFFERS, MALFORMED})
"""The kinds that no process has a part in, so that no log tells more."""


@dataclass(frozen=True)
class Failure:
    """One thing that is wrong with a lesson."""

    kind: str
    """A few words that read well before "in cell 5", such as `FAILED`."""
    error: str
    """What happened, to be shown as it is; several lines, perhaps a traceback."""
    cell: int = 0
    """The cell's place among the executed copy's cells, from 1; 0: it is of no cell."""
    source: str = ""
    """The cell's source."""

    @property
    def verdict(self) -> str:
        """In a few words: what, and in which cell."""
        return _verdict(self.kind, [self.cell])


@dataclass(frozen=True)
class Outcome:
    """A lesson that has been run."""

    lesson: Path
    copy: Path
    """Where the executed copy is, if the lesson came so far that there is one."""
    seconds: float
    kernel_seconds: float = 0.0
    """Of these, the time from the start of its kernel to that of its first cell."""
    model_seconds: float = 0.0
    """Of these, the time in which the scripted model was at work."""
    failures: Sequence[Failure] = ()
    """In the order of their discovery; none: the lesson passed."""
    server: str = ""
    """The Restate server that this lesson or those before it in its job have used, if any."""
    logs: Mapping[str, str] = field(default_factory=dict)
    """The last lines of the logs of a failed lesson's processes, by the logs' names."""

    @property
    def verdict(self) -> str:
        """In a few words."""
        kinds: dict[str, list[int]] = {}
        for failure in self.failures:
            kinds.setdefault(failure.kind, []).append(failure.cell)
        return ", ".join(_verdict(kind, cells) for kind, cells in kinds.items()) or "passed"


def _verdict(kind: str, cells: Sequence[int]) -> str:
    places = [str(cell) for cell in dict.fromkeys(cells) if cell]
    if not places:
        return kind
    return f"{kind} in cell{'' if len(places) == 1 else 's'} {', '.join(places)}"
