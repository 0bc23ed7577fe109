"""An operator: cancels, kills, pauses and resumes what a session has under way."""

from __future__ import annotations

from tests.stack import Stack
from tests.stress.clock import now
from tests.stress.ledger import Deed
from tests.stress.script import Operate
from workbench import AdminError
from workbench.state_dir import WorkbenchError

_ROW = "SELECT id, target, invoked_by_id FROM sys_invocation WHERE status != 'completed' AND "


class Operator:
    """Acts on one session. Where `alone`, nobody resumes what it pauses, so it pauses only what a
    cancellation wakes: tasks and their steps.
    """

    def __init__(self, stack: Stack, session: str, *, alone: bool) -> None:
        self._stack = stack
        self._session = session
        self._alone = alone

    def act(self, order: Operate) -> Deed | None:
        """Carry out an order; None where there was nothing to act on, or nobody to ask."""
        try:
            row = self._choose(order)
        except WorkbenchError:
            return None
        if row is None:
            return None
        if order.verb == "pause" and self._alone and "CodingTask/" not in str(row["target"]):
            return None
        deed = Deed(order.verb, str(row["target"]), row["task"], now(), str(row["id"]))
        try:
            getattr(self._stack.admin, order.verb)(row["id"])
        except AdminError:
            return None  # it was over already, or cannot be paused where it is
        except WorkbenchError:
            pass  # the server broke off in the middle: it may have heard
        return deed

    def _choose(self, order: Operate) -> dict[str, str | None] | None:
        """The invocation that is meant, with the `task` that it works for."""
        if order.target == "message":
            found = self._open(f"target = 'CodingAgent/{self._session}/message'")
            rows = [{**row, "task": None} for row in found]
        else:
            tasks = self._open(
                "target = 'CodingTask/run_task' AND "
                f"invoked_by_target LIKE 'CodingAgent/{self._session}/%'"
            )
            rows = [{**row, "task": row["id"]} for row in tasks]
            if order.target == "step":
                children = self._below(rows)
                rows = children + self._below(children)
        return rows[int(order.which * len(rows))] if rows else None

    def _below(self, parents: list[dict[str, str | None]]) -> list[dict[str, str | None]]:
        if not parents:
            return []
        task_of = {row["id"]: row["task"] for row in parents}
        ids = ", ".join(f"'{id}'" for id in task_of)
        children = self._open(f"invoked_by_id IN ({ids})")
        return [{**row, "task": task_of[row["invoked_by_id"]]} for row in children]

    def _open(self, where: str) -> list[dict[str, str | None]]:
        return self._stack.admin.query(f"{_ROW} {where} ORDER BY created_at, id")
