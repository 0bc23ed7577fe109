"""The state of a virtual object: of any, as the `state` table has it; of a session, in words."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from workbench.clients import sql_text
from workbench.views.journal_entry import decoded
from workbench.views.table import print_table

if TYPE_CHECKING:
    from workbench.clients import Admin, Ingress


def show_state(admin: Admin, service: str, key: str) -> None:
    """Print the rows of `state_rows`, long values in short."""
    print_table(
        f"State of {service}/{key}",
        [
            {name: row[name] for name in ("key", "bytes", "value")}
            for row in state_rows(admin, service, key)
        ],
        widths={"key": 30},
        right=["bytes"],
    )


def state_of(admin: Admin, service: str, key: str) -> dict[str, Any]:
    """The state of one virtual object: its keys and their values, which have to be JSON."""
    return {row["key"]: json.loads(row["value"]) for row in state_rows(admin, service, key)}


def state_rows(admin: Admin, service: str, key: str) -> list[dict[str, Any]]:
    """Rows of `key`, `value` (decoded) and `bytes`, by key, with `turn:10` after `turn:9`."""
    rows = admin.query(
        "SELECT key, value, value_length FROM state "
        f"WHERE service_name = {sql_text(service)} AND service_key = {sql_text(key)}",
        echo=False,
    )
    return [
        {
            "key": row["key"],
            "value": decoded(bytes.fromhex(row["value"])),
            "bytes": row["value_length"],
        }
        for row in sorted(rows, key=lambda row: natural_order(row["key"]))
    ]


def show_turns(ingress: Ingress, session: str) -> None:
    """Print what `CodingAgent.get_turns` answers: one row a turn, with what is left of it."""
    turns: list[dict[str, Any]] = ingress.call("CodingAgent", "get_turns", key=session)
    print_table(
        f"Turns of session {session}",
        [
            {
                "turn": turn["turn"],
                "status": turn["status"],
                "content": turn["content"],
                "task": turn["task_id"],
                "what came of it": _outcome(turn),
            }
            for turn in turns
        ],
        widths={"content": 30},
        right=["turn"],
    )


def show_history(ingress: Ingress, session: str) -> None:
    """Print what `CodingAgent.get_history` answers: what the next model call starts with."""
    messages: list[dict[str, Any]] = ingress.call("CodingAgent", "get_history", key=session)
    print_table(
        f"History of session {session}",
        [{name: message[name] for name in ("turn", "role", "content")} for message in messages],
        right=["turn"],
    )


def _outcome(turn: dict[str, Any]) -> str:
    """The answer, else the error, else the plan: the furthest that the turn got."""
    for name in ("answer", "error", "plan"):
        if turn[name]:
            return f"{name}: {turn[name]}"
    return ""


def natural_order(key: str) -> list[tuple[int, str]]:
    """What to sort keys by so that `turn:10` comes after `turn:9`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", key)]
