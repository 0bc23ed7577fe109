"""How many bytes a turn has cost the server: from its tables `sys_journal` and `state`."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass

from tests.stack import Stack

_WRITES = ("SetState", "ClearState")
_READS = ("GetLazyState", "GetEagerState")


@dataclass(frozen=True)
class Bytes:
    """Lengths of journal entries; see the report for what is counted."""

    written: float
    read: float
    agent: float
    turn: float

    @staticmethod
    def median(of: list[Bytes]) -> Bytes:
        return Bytes(*map(statistics.median, zip(*map(astuple, of), strict=True)))


def bytes_of_turns(stack: Stack, tasks: Sequence[str]) -> list[Bytes]:
    """The bytes of turns, given the ids of their tasks."""
    rows = stack.admin.query("SELECT id, invoked_by_id, target_service_name FROM sys_invocation")
    caller = {row["id"]: row.get("invoked_by_id") for row in rows}
    service = {row["id"]: row["target_service_name"] for row in rows}
    called = defaultdict(list)
    for id, by in caller.items():
        called[by].append(id)

    def with_callees(id: str) -> list[str]:
        return [id, *(each for callee in called[id] for each in with_callees(callee))]

    found = []
    for task in tasks:
        message = caller[task]
        assert message is not None, "the message has sent the task"
        found.append(_bytes(stack, with_callees(message), service))
    return found


def _bytes(stack: Stack, ids: list[str], service: Mapping[str, str]) -> Bytes:
    quoted = ", ".join(f"'{id}'" for id in ids)
    rows = stack.admin.query(
        "SELECT id, entry_type, sum(raw_length) AS bytes FROM sys_journal "
        f"WHERE id IN ({quoted}) GROUP BY id, entry_type"
    )
    of_agent = [row for row in rows if service[row["id"]] == "CodingAgent"]
    return Bytes(
        written=sum(row["bytes"] for row in of_agent if row["entry_type"].endswith(_WRITES)),
        read=sum(row["bytes"] for row in of_agent if row["entry_type"].endswith(_READS)),
        agent=sum(row["bytes"] for row in of_agent),
        turn=sum(row["bytes"] for row in rows),
    )


def state_bytes(stack: Stack, session: str) -> int:
    """The length of all values that are kept under a session's key."""
    (row,) = stack.admin.query(
        f"SELECT sum(value_length) AS bytes FROM state WHERE service_key = '{session}'"
    )
    return int(row["bytes"])
