"""A call tree in text: a line for each invocation, with its id and status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.ids import short_ids, without_middle
from workbench.views.tree import label

__all__ = ["tree_lines"]

_TARGET_WIDTH = 46


def tree_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each of `tree_rows`."""
    labels = [without_middle(label(row), _TARGET_WIDTH) for row in rows]
    ids = [short_ids(row["id"]) for row in rows]
    label_width, id_width = max(map(len, labels)), max(map(len, ids))
    return [
        f"{text:<{label_width}}  {id:<{id_width}}  {row['status']}"
        for text, id, row in zip(labels, ids, rows, strict=True)
    ]
