"""The call tree of an invocation: who called whom, who waits for whom, who is on their own.

`sys_invocation` says who called an invocation, but not how. How is in the caller's journal: a
`Call` is waited for and belongs to the tree; a `OneWayCall` is not, and may be due later.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from workbench.views.invocation_row import fetch, in_list, status

if TYPE_CHECKING:
    from workbench.clients import Admin

# How a drawing names what is not an ordinary call.
HOW = {"one-way": " (one-way)", "delayed": " (delayed)", "unknown": " (called or sent)"}


def tree_rows(admin: Admin, root_id: str) -> list[dict[str, Any]]:
    """Rows of `id`, `parent`, `branch`, `target`, `how`, `status`, in the order of the calls.

    `branch` is the lines that lead to the invocation in a drawing, such as `│ ├── `. `how` is
    `root`, `call`, `one-way`, `delayed`, or `unknown` where the parent's journal is gone. `status`
    is as in `invocation_rows`; `no record` for a child that is in its parent's journal only,
    because it was purged, or was killed or cancelled before it ever ran.
    """
    found: dict[str, dict[str, Any]] = {}
    children: dict[str, list[dict[str, Any]]] = defaultdict(list)
    level = {root_id}
    seen = {root_id}
    while level:
        calls = _calls(admin, level)
        called = {call["id"] for call in calls}
        ids = in_list("id", called | {root_id} - found.keys())
        for row in fetch(admin, f"{in_list('invoked_by_id', level)} OR {ids}"):
            found[row["id"]] = row
            if row["id"] not in called | {root_id}:
                calls.append(
                    {
                        "id": row["id"],
                        "parent": row["invoked_by_id"],
                        "target": row["target"],
                        "how": "unknown",
                    }
                )
        # An idempotency key can lead two callers to one invocation: it is shown below the first.
        new = {call["id"]: call for call in reversed(calls) if call["id"] not in seen}
        for call in calls:
            if new.get(call["id"]) is call:
                children[call["parent"]].append(call)
        level = set(new)
        seen |= level

    def _subtree(node: dict[str, Any], branch: str, indent: str) -> list[dict[str, Any]]:
        record = found.get(node["id"])
        rows = [
            {
                "id": node["id"],
                "parent": node["parent"],
                "branch": branch,
                "target": record["target"] if record else node["target"],
                "how": node["how"],
                "status": status(record) if record else "no record",
            }
        ]
        below = children[node["id"]]
        for child in below:
            corner, line = ("└── ", "    ") if child is below[-1] else ("├── ", "│   ")
            rows += _subtree(child, indent + corner, indent + line)
        return rows

    return _subtree({"id": root_id, "parent": None, "target": "?", "how": "root"}, "", "")


def _calls(admin: Admin, parents: set[str]) -> list[dict[str, Any]]:
    """The calls and sends in the journals of `parents`, in the order of each journal."""
    rows = admin.query(
        "SELECT id, entry_lite_json FROM sys_journal "
        f"WHERE {in_list('id', parents)} "
        "AND entry_type IN ('Command: Call', 'Command: OneWayCall') ORDER BY id, index",
        echo=False,
    )
    calls = []
    for row in rows:
        ((kind, command),) = json.loads(row["entry_lite_json"])["Command"].items()
        delayed = command.get("invoke_time", 0) > 0
        calls.append(
            {
                "id": command["invocation_id"],
                "parent": row["id"],
                "target": target_name(command["invocation_target"]),
                "how": "call" if kind == "Call" else "delayed" if delayed else "one-way",
            }
        )
    return calls


def target_name(target: dict[str, Any]) -> str:
    """`Service/handler` or `Object/key/handler`, as in sys_invocation.target."""
    (fields,) = target.values()
    return "/".join(fields[part] for part in ("name", "key", "handler") if part in fields)
