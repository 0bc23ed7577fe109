"""Reads a lesson as it was run, whole or as far as it came."""

from __future__ import annotations

import contextlib

import nbformat
from papermill.execute import ERROR_MARKER_TAG

from workbench.series.outcome import Outcome


def read_executed(outcome: Outcome) -> nbformat.NotebookNode:
    """The executed copy; where there is none, or half of one, the lesson without any output.

    The remarks that papermill adds where a cell has failed are left out, so that the cells' places
    are those that failures name.
    """
    with contextlib.suppress(OSError, ValueError):
        book: nbformat.NotebookNode = nbformat.read(outcome.copy, as_version=4)
        book.cells = [one for one in book.cells if ERROR_MARKER_TAG not in _tags(one)]
        return book
    book = nbformat.read(outcome.lesson, as_version=4)
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return book


def _tags(cell: nbformat.NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))
