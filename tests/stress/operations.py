"""What is under way on the server, and the operator who resumes what was paused."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.stack import Stack
from tests.stress.model_log import ModelLog
from workbench.errors import WorkbenchError

# How long something stays paused before an operator resumes it.
_PAUSED_SECONDS = 3.0


def resume(stack: Stack, id: str) -> None:
    """Resume an invocation, or retry it now; it may be over by then."""
    stack.admin.patch(f"/invocations/{id}/resume", allow=(404, 409, 425))


def settle(
    stack: Stack, *, timeout: float = 120.0, show: Callable[[], None] = lambda: None
) -> list[dict[str, Any]]:
    """Resume whatever is paused or waits for its next attempt until all is over; what is not, after
    `timeout` seconds. `show` is called now and then.
    """
    deadline = time.monotonic() + timeout
    while (rows := stack.open_invocations()) and time.monotonic() < deadline:
        for row in rows:
            if row["status"] in ("paused", "backing-off"):
                resume(stack, row["id"])
        show()
        time.sleep(0.25)
    return rows


class Watch:
    """Reads the model's records while clients act, counts tasks, and resumes what is paused for
    some seconds, unless nobody is to help (`alone`).

    Attributes:
        tasks: how many tasks there are by how they ended (`running` are those that have not).
        resumed: how often something was resumed.
    """

    def __init__(
        self, stack: Stack, log: ModelLog, over: threading.Event, *, alone: bool = False
    ) -> None:
        self._stack = stack
        self._log = log
        self._over = over
        self._alone = alone
        self._paused_since: dict[str, float] = {}
        self.tasks: dict[str, int] = {}
        self.resumed = 0

    def run(self) -> None:
        """Go on until it is over."""
        while not self._over.wait(0.5):
            self._log.collect()
            with contextlib.suppress(WorkbenchError):  # the server is away
                self.tasks = self._count_tasks()
                if not self._alone:
                    self._resume_what_is_paused()

    def _count_tasks(self) -> dict[str, int]:
        rows = self._stack.admin.query(
            "SELECT status, completion_failure, count(*) AS n FROM sys_invocation "
            "WHERE target = 'CodingTask/run_task' GROUP BY status, completion_failure"
        )
        counts: dict[str, int] = {}
        for row in rows:
            name = row["status"] if row["status"] != "completed" else _ending(row)
            name = "running" if name not in (*_ENDINGS.values(), "failed", "paused") else name
            counts[name] = counts.get(name, 0) + row["n"]
        return counts

    def _resume_what_is_paused(self) -> None:
        paused = {row["id"] for row in self._stack.open_invocations() if row["status"] == "paused"}
        now = time.monotonic()
        self._paused_since = {id: self._paused_since.get(id, now) for id in paused}
        for id, since in self._paused_since.items():
            if now - since > _PAUSED_SECONDS:
                resume(self._stack, id)
                self.resumed += 1


_ENDINGS = {
    None: "completed",
    "[409] cancelled": "interrupted",
    "[409] killed": "killed",
}


def _ending(row: dict[str, Any]) -> str:
    return _ENDINGS.get(row.get("completion_failure"), "failed")
