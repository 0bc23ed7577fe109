"""The verdict on a lesson that has been executed: its form, and its outputs."""

from __future__ import annotations

from pathlib import Path

import nbformat

from workbench.series.check.comparison import differences
from workbench.series.check.form import faults
from workbench.series.check.update import update
from workbench.series.outcome import DIFFERS, MALFORMED, Failure
from workbench.state_dir import WorkbenchError

__all__ = ["Verifier"]


class Verifier:
    """Compares executed copies with the lessons, or writes what was seen into the lessons.

    Attributes:
        rewritten: how many cells' outputs were written.
    """

    rewritten: int

    def __init__(self, *, write: bool = False, everything: bool = False) -> None:
        """`write` what differs; `everything`: also what may vary, such as figures."""
        self._write = write
        self._everything = everything
        self.rewritten = 0

    def verify(self, lesson: Path, copy: Path) -> list[Failure]:
        """What is wrong with `lesson`, whose executed copy is `copy`."""
        try:
            if self._write:
                self.rewritten += update(lesson, copy, everything=self._everything)
            different = _different(lesson, copy)
        except (WorkbenchError, OSError) as error:
            return _malformed(lesson) or [Failure(MALFORMED, str(error))]
        return [*_malformed(lesson), *different]


def _malformed(lesson: Path) -> list[Failure]:
    return [Failure(MALFORMED, fault.what, fault.cell) for fault in faults(lesson)]


def _different(lesson: Path, copy: Path) -> list[Failure]:
    committed = nbformat.read(lesson, as_version=4)
    seen = nbformat.read(copy, as_version=4)
    return [
        Failure(
            DIFFERS,
            f"Committed (-) and seen (+):\n{difference.diff}\n"
            f"If what is seen is right: ./scripts/check --update {lesson.stem}",
            difference.cell,
            difference.source,
        )
        for difference in differences(committed, seen)
    ]
