"""What the checks of exercises look with: from outside, once nothing moves any more."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from workbench.bench import Bench
from workbench.clients import sql_text

__all__ = ["invocations", "settle"]

_STILL = 0.4
_LIMIT = 10.0


def invocations(bench: Bench, mark: str, *services: str) -> list[dict[str, Any]]:
    """Rows of `sys_invocation`, oldest first, of the `services` whose key or input has `mark`."""
    rows: list[dict[str, Any]] = bench.admin.query(
        "SELECT i.*, j.entry_json AS input FROM sys_invocation i "
        "JOIN sys_journal j ON j.id = i.id AND j.index = 0 "
        f"WHERE i.target_service_name IN ({', '.join(map(sql_text, services))})",
        echo=False,
    )
    wanted = ", ".join(str(byte) for byte in mark.encode())  # as the engine writes bytes
    found = [
        row
        for row in rows
        if row.get("target_service_key") == mark or wanted in str(row.get("input"))
    ]
    return sorted(found, key=lambda row: str(row["created_at"]))


def settle(bench: Bench, services: Sequence[str]) -> None:
    """Wait until the invocations of `services` move no more, sleepers included; at most 10 s.

    What is held stands still. It is not an error if something goes on for ever.
    """
    names = ", ".join(map(sql_text, services))
    began = since = time.monotonic()
    before: object = None
    while time.monotonic() - began < _LIMIT:
        seen = bench.admin.query(
            "SELECT i.id, i.status, count(j.index) AS entries, "
            "sum(CASE WHEN j.entry_type = 'Command: Sleep' THEN 1 "
            "WHEN j.entry_type = 'Notification: Sleep' THEN -1 ELSE 0 END) AS sleeps "
            "FROM sys_invocation i LEFT JOIN sys_journal j ON j.id = i.id "
            f"WHERE i.target_service_name IN ({names}) AND i.status <> 'completed' "
            "GROUP BY i.id, i.status ORDER BY i.id",
            echo=False,
        )
        if seen != before or any(row.get("sleeps") for row in seen):
            before, since = seen, time.monotonic()
        elif time.monotonic() - since > _STILL:
            return
        time.sleep(0.05)
