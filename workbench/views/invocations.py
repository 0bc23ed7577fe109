"""Invocations as a table: which there are, what the engine says of each, who called it."""

from __future__ import annotations

from collections.abc import Collection, Set
from typing import TYPE_CHECKING, Any

from workbench.views.invocation_row import fetch, in_list, status, without
from workbench.views.table import print_table
from workbench.views.tree import tree_rows

if TYPE_CHECKING:
    from workbench.clients import Admin


def show_invocations(
    admin: Admin,
    *,
    ids: Collection[str] | None = None,
    root: str | None = None,
    leave_out: Collection[str] = (),
) -> None:
    """Print the invocations that `invocation_rows` finds, in its order.

    `leave_out` names services or handlers of no interest, such as `UsageMeter`.
    """
    rows = without(invocation_rows(admin, ids=ids, root=root), leave_out)
    # The number of the attempt says something only once there was a second; a caller is found by
    # its id in show_tree.
    hidden = set() if any((row["attempt"] or 0) > 1 for row in rows) else {"attempt"}
    hidden.add("caller")
    print_table(
        f"sys_invocation: {len(rows)} invocation{'' if len(rows) == 1 else 's'}",
        [{name: value for name, value in row.items() if name not in hidden} for row in rows],
        widths={"target": 32, "status": 60},
        targets=["target", "called by"],
        right=["attempt"],
    )


def invocation_rows(
    admin: Admin,
    *,
    ids: Collection[str] | None = None,
    root: str | None = None,
) -> list[dict[str, Any]]:
    """Rows of `id`, `target`, `status`, `attempt`, `called by`, `caller`.

    They are in the order of the calls in the tree of `root` where one is given, else oldest first.
    The filters narrow each other: these `ids`, in the tree below and with `root`. `status` is the
    engine's, joined with its completion:
    `completed · failure · [409] cancelled`. `attempt` counts from 1 since the server last started
    or resumed the invocation, and is None while no attempt is under way or due.
    """
    wanted: Set[str] | None = None if ids is None else set(ids)
    places: dict[str, int] = {}
    if root is not None:
        places = {row["id"]: place for place, row in enumerate(tree_rows(admin, root))}
        wanted = places.keys() if wanted is None else wanted & places.keys()
    found = fetch(admin, "true" if wanted is None else in_list("id", wanted))
    found.sort(key=lambda row: places.get(row["id"], 0))
    return [
        {
            "id": row["id"],
            "target": row["target"],
            "status": status(row),
            "attempt": row["retry_count"],
            "called by": _called_by(row),
            "caller": row["invoked_by_id"],
        }
        for row in found
    ]


def _called_by(row: dict[str, Any]) -> str:
    if row["restarted_from"]:
        return f"restart of {row['restarted_from']}"
    return str(row["invoked_by_target"] or row["invoked_by"])
