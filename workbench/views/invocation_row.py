"""The rows of `sys_invocation` that the views are made of."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from workbench.clients import sql_text
from workbench.ids import labels

if TYPE_CHECKING:
    from workbench.clients import Admin

# Everything that a view says of an invocation; `fetch` fills in None where the engine says NULL.
COLUMNS = (
    "id",
    "target",
    "status",
    "completion_result",
    "completion_failure",
    "retry_count",
    "invoked_by",
    "invoked_by_id",
    "invoked_by_target",
    "restarted_from",
    "created_at",
    "scheduled_start_at",
    "running_at",
    "completed_at",
)


def fetch(admin: Admin, where: str) -> list[dict[str, Any]]:
    """The rows of sys_invocation that satisfy `where`, in the order in which views show them."""
    rows = admin.query(f"SELECT {', '.join(COLUMNS)} FROM sys_invocation WHERE {where}", echo=False)
    for row in rows:
        labels.note(row["id"], row["target"])
    return sorted(
        ({**dict.fromkeys(COLUMNS), **row} for row in rows),
        key=lambda row: (instant(row["created_at"]), row["target"], row["id"]),
    )


def without(rows: Iterable[dict[str, Any]], leave_out: Collection[str]) -> list[dict[str, Any]]:
    """The rows but for those whose target is of one of these services or handlers."""
    return [row for row in rows if not set(leave_out).intersection(row["target"].split("/"))]


def instant(time: str) -> datetime:
    """A time as the engine writes it (`2026-11-22T14:43:38.829Z`).

    The engine leaves the fraction out of whole seconds, so the texts themselves have another order.
    """
    return datetime.fromisoformat(time.replace("Z", "+00:00"))  # Python 3.10 does not read the Z


def in_list(column: str, values: Iterable[str]) -> str:
    """An SQL condition; one that nothing satisfies when there are no values."""
    texts = ", ".join(sql_text(value) for value in sorted(values))
    return f"{column} IN ({texts})" if texts else "false"


def status(row: dict[str, Any]) -> str:
    """The engine's status of a row of `fetch`, joined with how it was completed."""
    parts = [row["status"], row["completion_result"], row["completion_failure"]]
    return " · ".join(part for part in parts if part)
