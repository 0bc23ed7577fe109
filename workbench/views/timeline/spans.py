"""The lives of all invocations of some trees, on one axis of time, read from the engine."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.views.clock import milliseconds
from workbench.views.invocation_row import in_list
from workbench.views.journal_entry import CANCEL_SIGNAL
from workbench.views.timeline.lifeline import Entry, Life, Record, life_of
from workbench.views.tree import target_name, tree_rows

if TYPE_CHECKING:
    from workbench.clients import Admin

# What a task does for the books, once for every model call.
_BOOKKEEPING = {"UsageMeter/record"}

_USUAL = {"queued", "running"}


@dataclass(frozen=True)
class Lane:
    """One invocation of a tree.

    Attributes:
        how: as in `tree_rows`.
        status: as in `invocation_rows`, or `no record`.
        life: None where the engine has no record of it, or has not yet.
    """

    id: str
    parent: str | None
    target: str
    how: str
    status: str
    life: Life | None

    @property
    def name(self) -> str:
        """`Service/handler`, without the key of an object."""
        return f"{self.target.partition('/')[0]}/{self.target.rpartition('/')[2]}"

    @property
    def handler(self) -> str:
        """The handler alone."""
        return self.target.rpartition("/")[2]

    @property
    def created(self) -> int | None:
        """When it was created."""
        return self.life.states[0].begin if self.life else None

    @property
    def ended(self) -> int | None:
        """When it was completed; None if it is not over."""
        over = self.life and self.status.startswith("completed")
        return self.life.states[-1].end if self.life and over else None

    @property
    def outcome(self) -> str:
        """`completed`, the failure without its code if that is a 409, or the present status."""
        said = self.status.rpartition(" · ")[2]
        return "completed" if said == "success" else said.removeprefix("[409] ")

    def times(self, kind: str) -> list[int]:
        """When the marks of a kind are."""
        return [mark.at for mark in self.life.marks if mark.kind == kind] if self.life else []


def lane_trees(admin: Admin, roots: Sequence[str]) -> list[list[Lane]]:
    """For each root its tree, in the order of `tree_rows`.

    Times are milliseconds since the first of the roots was created. A root without a record has a
    tree of one lane without a life.
    """
    trees = [tree_rows(admin, root) for root in roots]
    ids = {row["id"] for tree in trees for row in tree}
    records = {row["id"]: row for row in _records(admin, ids)}
    begin = min((records[root]["created_at"] for root in roots if root in records), default="")
    entries = _entries(admin, ids, begin) if records else {}
    return [
        [
            Lane(
                **{name: row[name] for name in ("id", "parent", "target", "how", "status")},
                life=life_of(_record(records[row["id"]], begin), entries.get(row["id"], []))
                if row["id"] in records and begin
                else None,
            )
            for row in tree
        ]
        for tree in trees
    ]


def without_bookkeeping(lanes: Sequence[Lane]) -> list[Lane]:
    """The lanes without the calls that keep the books, unless something was the matter there."""
    parents = {lane.parent for lane in lanes}
    return [
        lane
        for lane in lanes
        if lane.name not in _BOOKKEEPING
        or lane.parent is None
        or lane.id in parents
        or not lane.status.endswith("success")
        or (lane.life and any(span.kind not in _USUAL for span in lane.life.states))
    ]


def _records(admin: Admin, ids: set[str]) -> list[dict[str, Any]]:
    return admin.query(
        "SELECT id, status, completion_failure, created_at, running_at, completed_at, "
        "last_start_at, to_char(now(), '%Y-%m-%dT%H:%M:%S%.3fZ') AS now "
        f"FROM sys_invocation WHERE {in_list('id', ids)}",
        echo=False,
    )


def _record(row: dict[str, Any], begin: str) -> Record:
    created, now = milliseconds(row["created_at"], begin), milliseconds(row["now"], begin)
    assert created is not None
    assert now is not None
    return Record(
        status=row["status"],
        failure=row.get("completion_failure"),
        created=created,
        running=milliseconds(row.get("running_at"), begin),
        completed=milliseconds(row.get("completed_at"), begin),
        last_start=milliseconds(row.get("last_start_at"), begin),
        now=max(now, created),
    )


def _entries(admin: Admin, ids: set[str], begin: str) -> dict[str, list[Entry]]:
    """The journals and the events of `ids`, by id."""
    found: dict[str, list[Entry]] = defaultdict(list)
    for row in admin.query(
        "SELECT id, index, entry_lite_json, appended_at FROM sys_journal "
        f"WHERE {in_list('id', ids)}",
        echo=False,
    ):
        at = milliseconds(row["appended_at"], begin)
        assert at is not None
        found[row["id"]].append(_entry(row["index"], at, json.loads(row["entry_lite_json"])))
    for row in admin.query(
        "SELECT id, after_journal_entry_index, event_type, appended_at FROM sys_journal_events "
        f"WHERE {in_list('id', ids)} ORDER BY appended_at",
        echo=False,
    ):
        at = milliseconds(row["appended_at"], begin)
        assert at is not None
        index = row["after_journal_entry_index"]
        found[row["id"]].append(Entry(index, "Event", row["event_type"], at))
    return found


def _entry(index: int, at: int, lite: dict[str, Any]) -> Entry:
    """An entry in its short form, which says all that is needed here and leaves the values out."""
    ((side, content),) = lite.items()
    if side == "Notification":
        ty, id = content["ty"], content["id"]
        form = ty["Completion"] if isinstance(ty, dict) else ty
        signal = "cancel" if id.get("SignalIndex") == CANCEL_SIGNAL else ""
        return Entry(index, side, form, at, signal, id.get("CompletionId"))
    ((form, fields),) = content.items()
    name = fields.get("name") or ""
    if "invocation_target" in fields:
        name = target_name(fields["invocation_target"])
    number = fields.get("result_completion_id", fields.get("completion_id"))
    return Entry(index, side, form, at, name, number)
