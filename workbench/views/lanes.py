"""Who was at work when: a bar for each invocation, all on one axis of time.

Two bars side by side in time are two invocations that ran at once, which no table of times shows at
a glance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.views.clock import milliseconds
from workbench.views.invocation_row import fetch, in_list, status
from workbench.views.table import print_table

if TYPE_CHECKING:
    from workbench.clients import Admin

_COLUMNS = 40


def show_lanes(admin: Admin, ids: Sequence[str]) -> None:
    """Print `lane_rows` with a bar each; the bar of one that is not over goes to the right edge."""
    rows = lane_rows(admin, ids)
    end = max([1, *(row["ended"] or row["began"] + 1 for row in rows)])
    print_table(
        "At work, in milliseconds since the first was created",
        [
            {
                "#": number,
                "began": row["began"],
                "ended": row["ended"],
                "at work": _bar(row["began"], end if row["ended"] is None else row["ended"], end),
                "outcome": row["status"].split(" · ", 1)[-1],
                "id": row["id"],
            }
            for number, row in enumerate(rows, start=1)
        ],
        widths={"outcome": 25},
        right=["#", "began", "ended"],
    )


def lane_rows(admin: Admin, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of `id`, `target`, `status`, `began`, `ended`, in the order of `ids`.

    `began` is the creation and `ended` the completion, in milliseconds since the first creation
    among them; `ended` is None for one that is not over. `status` is as in `invocation_rows`. An id
    without a record is left out.
    """
    found = fetch(admin, in_list("id", ids))
    if not found:
        return []
    begin = found[0]["created_at"]
    rows = {
        row["id"]: {
            "id": row["id"],
            "target": row["target"],
            "status": status(row),
            "began": milliseconds(row["created_at"], begin),
            "ended": milliseconds(row["completed_at"], begin),
        }
        for row in found
    }
    return [rows[id] for id in ids if id in rows]


def _bar(began: int, ended: int, end: int) -> str:
    left = min(began * _COLUMNS // end, _COLUMNS - 1)
    right = max(ended * _COLUMNS // end, left + 1)
    return "·" * left + "█" * (right - left) + "·" * (_COLUMNS - right)
