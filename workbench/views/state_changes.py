"""What changed in the state of a virtual object between two looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.ids import clipped, one_line
from workbench.state_dir import WorkbenchError
from workbench.views.state import natural_order, state_rows
from workbench.views.table import WIDTH, print_table

if TYPE_CHECKING:
    from workbench.clients import Admin

__all__ = ["show_state_changes", "state_change_rows", "state_of"]

_KEY_WIDTH = 24
_KEPT = 6  # of what two long values have in common, before where they part


@dataclass(frozen=True)
class StateSnapshot:
    """The state of the virtual object `service`/`key` at one moment: decoded values, by key."""

    service: str
    key: str
    values: dict[str, str]


def state_of(admin: Admin, service: str, key: str) -> StateSnapshot:
    """The state of a virtual object as it is now, to compare with what it is later."""
    rows = state_rows(admin, service, key)
    return StateSnapshot(service, key, {row["key"]: row["value"] for row in rows})


def show_state_changes(before: StateSnapshot, after: StateSnapshot) -> None:
    """Print the rows of `state_change_rows`; what is unchanged, in one line."""
    rows = state_change_rows(before, after)
    same = [row["key"] for row in rows if row["mark"] == "="]
    changed = [row for row in rows if row["mark"] != "="]
    # What the table leaves for the last column.
    room = WIDTH - 6 - max([5, *(min(len(row["key"]), _KEY_WIDTH) for row in changed)])
    shown = [{"": row["mark"], "key": row["key"], "value": _change(row, room)} for row in changed]
    if same:
        folded = f"{len(same)} unchanged"
        shown.append({"": "=", "key": folded, "value": ", ".join(same)})
    print_table(
        f"State of {after.service}/{after.key}: + new, - gone, ~ changed, = unchanged",
        shown,
        widths={"key": _KEY_WIDTH},
        targets=["key"],
    )


def state_change_rows(before: StateSnapshot, after: StateSnapshot) -> list[dict[str, Any]]:
    """Rows of `mark`, `key`, `before`, `after`, by key.

    `mark` is `+` for a key that is new, `-` for one that is gone, `=` for one that is unchanged,
    `~` for one that is changed. `before` and `after` are decoded, None for what was not there.
    Raises WorkbenchError for two snapshots that are not of one object.
    """
    if (before.service, before.key) != (after.service, after.key):
        raise WorkbenchError(
            f"These are two objects: {before.service}/{before.key} and {after.service}/{after.key}."
        )
    rows: list[dict[str, Any]] = []
    for key in sorted({*before.values, *after.values}, key=natural_order):
        old, new = before.values.get(key), after.values.get(key)
        mark = "+" if old is None else "-" if new is None else "=" if old == new else "~"
        rows.append({"mark": mark, "key": key, "before": old, "after": new})
    return rows


def _change(row: dict[str, Any], width: int) -> str:
    """A value that came or went, or `old → new`, from where they part when they are long."""
    old, new = (
        "(none)" if row[side] is None else one_line(row[side]) for side in ("before", "after")
    )
    if row["mark"] != "~":
        return clipped(new if row["before"] is None else old, width)
    if len(old) + len(new) + 3 > width:
        pairs = enumerate(zip(old, new, strict=False))
        common = next((n for n, (left, right) in pairs if left != right), 0) - _KEPT
        if common > 1:
            old, new = f"…{old[common:]}", f"…{new[common:]}"
    half = (width - 3) // 2
    # The shorter of the two leaves its room to the other.
    earlier = clipped(old, max(half, width - 3 - len(new)))
    return f"{earlier} → {clipped(new, width - 3 - len(earlier))}"
