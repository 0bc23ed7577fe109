"""Writes the outputs of a run into the lessons themselves."""

from __future__ import annotations

from pathlib import Path

import nbformat

from workbench.series.check.comparison import differences

__all__ = ["update"]


def update(lesson: Path, copy: Path, *, everything: bool = False) -> int:
    """Write into `lesson` the outputs of its executed `copy`, where they differ.

    What varies from run to run stays as it is, so that a second run changes nothing; unless
    `everything` is to be written, as after a change of how figures are drawn. The number of cells
    whose outputs were written.
    """
    committed = nbformat.read(lesson, as_version=4)
    seen = nbformat.read(copy, as_version=4)
    different = {difference.cell for difference in differences(committed, seen)}
    rewritten = changed = 0
    for number, (old, new) in enumerate(zip(committed.cells, seen.cells, strict=True), start=1):
        if old.cell_type != "code":
            continue
        changed += old.execution_count != new.execution_count
        old.execution_count = new.execution_count
        if everything or number in different:
            rewritten += old.outputs != new.outputs
            old.outputs = new.outputs
    if rewritten or changed:
        nbformat.write(committed, lesson)
    return rewritten
