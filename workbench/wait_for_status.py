"""Wait until an invocation is in a state, as told by `sys_invocation`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from workbench.short import compact_json, short_ids
from workbench.sql import sql_text
from workbench.state_dir import WorkbenchError
from workbench.waiting import WaitTimeout, wait_until

# Every status that sys_invocation knows (Restate 1.7); there is none for "cancelled" or "killed".
STATUSES = (
    "scheduled",
    "pending",
    "ready",
    "running",
    "backing-off",
    "suspended",
    "paused",
    "completed",
)

# The columns of a row that `wait_for` returns.
_ROW = (
    "id, target, status, completion_result, completion_failure, retry_count, "
    "last_failure_error_code, last_failure_related_command_name, pinned_deployment_id, "
    "invoked_by_id, restarted_from"
)


def wait_for_status(
    query: Callable[[str], list[dict[str, Any]]],
    id: str,
    statuses: Collection[str],
    *,
    timeout: float,
) -> dict[str, Any]:
    """What `Admin.wait_for` does, and says; `query` takes SQL and returns rows."""
    if not statuses or not set(statuses) <= set(STATUSES):
        raise WorkbenchError(
            f"wait_for cannot wait for {', '.join(statuses) or 'no status'}: "
            f"sys_invocation knows {', '.join(STATUSES)}.\n"
            "A cancelled or killed invocation is completed; completion_failure says the rest."
        )
    seen: dict[str, Any] | None = None

    def _row() -> dict[str, Any] | None:
        nonlocal seen
        rows = query(f"SELECT {_ROW} FROM sys_invocation WHERE id = {sql_text(id)}")
        seen = dict.fromkeys(_ROW.split(", ")) | rows[0] if rows else None
        return seen if seen and seen["status"] in {*statuses, "completed"} else None

    wanted = f"{short_ids(id)} to be {' or '.join(statuses)}"
    try:
        row = wait_until(_row, what=wanted, timeout=timeout)
    except WaitTimeout as error:
        raise WaitTimeout(
            f"Waited {timeout:g} s for {wanted}, in vain.\nLast row seen: {_shown(seen)}"
        ) from error
    assert row is not None
    if row["status"] not in statuses:
        raise WorkbenchError(f"Waited for {wanted}; it has completed.\nRow: {_shown(row)}")
    return row


def _shown(row: dict[str, Any] | None) -> str:
    if row is None:
        return "none: the server knows no such invocation"
    return short_ids(
        compact_json({name: value for name, value in row.items() if value is not None})
    )
