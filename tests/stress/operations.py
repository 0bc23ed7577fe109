"""What is under way on the server, and the operator who resumes what was paused."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.stack import Stack
from tests.stress.clock import now
from tests.stress.model_log import ModelLog
from workbench.state_dir import WorkbenchError

T = TypeVar("T")

# How long something stays paused before an operator resumes it.
_PAUSED_SECONDS = 3.0


@dataclass(frozen=True)
class Paused:
    """An invocation that was seen paused. Somebody must have wanted that, or it had no choice."""

    id: str
    target: str
    at: float


def patiently(request: Callable[[], T], seconds: float = 30.0) -> T:
    """The answer to a request. A server that has just begun may answer 500 for a moment."""
    until = time.monotonic() + seconds
    while True:
        try:
            return request()
        except WorkbenchError:
            if time.monotonic() > until:
                raise
        time.sleep(0.1)


def open_invocations(stack: Stack) -> list[dict[str, Any]]:
    """Every invocation of the agent that is not over."""
    sql = (
        "SELECT id, target, status, invoked_by_id, invoked_by_target FROM sys_invocation "
        "WHERE status != 'completed' AND target_service_name IN "
        "('CodingAgent', 'CodingTask', 'Workspace', 'UsageMeter')"
    )
    return patiently(lambda: stack.admin.query(sql))


def resume(stack: Stack, id: str) -> None:
    """Resume an invocation, or retry it now; it may be over by then."""
    patiently(lambda: stack.admin.patch(f"/invocations/{id}/resume", allow=(404, 409, 425)))


def settle(
    stack: Stack,
    paused: list[Paused],
    *,
    alone: bool = False,
    timeout: float = 180.0,
    show: Callable[[], None] = lambda: None,
) -> list[dict[str, Any]]:
    """Wait until all is over, and note and resume what is paused; where `alone`, wait until what is
    left is paused, or waits for that. Returns what is still at work after `timeout` seconds.

    What backs off is left alone: it must come to an end by itself.
    """
    deadline = time.monotonic() + timeout
    while True:
        rows = open_invocations(stack)
        left = _without_the_paused(rows) if alone else rows
        if not left or time.monotonic() > deadline:
            break
        if not alone:
            note_and_resume(stack, rows, paused)
        show()
        time.sleep(0.25)
    if alone:
        paused += [Paused(row["id"], row["target"], now()) for row in rows if _is_paused(row)]
    return left


def note_and_resume(stack: Stack, rows: list[dict[str, Any]], paused: list[Paused]) -> None:
    """Resume what is paused among these, and note it."""
    for row in filter(_is_paused, rows):
        paused.append(Paused(row["id"], row["target"], now()))
        resume(stack, row["id"])


def _is_paused(row: dict[str, Any]) -> bool:
    return bool(row["status"] == "paused")


def _without_the_paused(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that may not be there, even if a task of their session is paused: only tasks may wait
    for it, and what is to be told in a while. All else would hold a session's key.
    """
    by_id = {row["id"]: row for row in rows}

    def session_of(row: dict[str, Any]) -> str:
        if not _is_task(row):
            return str(row["target"]).split("/")[1]
        parent = by_id.get(row.get("invoked_by_id") or "")
        if parent and _is_task(parent):
            return session_of(parent)
        return str(row.get("invoked_by_target")).split("/")[1]

    waiting = {session_of(row) for row in rows if _is_paused(row) and _is_task(row)}
    return [
        row
        for row in rows
        if session_of(row) not in waiting or not (_is_task(row) or row["status"] == "scheduled")
    ]


def _is_task(row: dict[str, Any]) -> bool:
    return str(row["target"]).startswith("CodingTask/")


class Watch:
    """Reads the model's records while clients act, counts tasks, notes what is paused for some
    seconds, and resumes it, unless nobody is to help (`alone`).

    Attributes:
        tasks: how many tasks there are by how they ended (`running` are those that have not).
        paused: what was seen to be paused.
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
        self.paused: list[Paused] = []
        self.resumed = 0

    def run(self) -> None:
        """Go on until it is over."""
        while not self._over.wait(0.5):
            with contextlib.suppress(WorkbenchError):  # busy: it is asked again
                self._log.collect()
            with contextlib.suppress(WorkbenchError):  # the server is away
                self.tasks = self._count_tasks()
                self._look_for_paused()

    def _count_tasks(self) -> dict[str, int]:
        rows = self._stack.admin.query(
            "SELECT status, completion_failure, count(*) AS n FROM sys_invocation "
            "WHERE target = 'CodingTask/run_task' GROUP BY status, completion_failure"
        )
        counts: dict[str, int] = {}
        for row in rows:
            name = "paused" if _is_paused(row) else "running"
            if row["status"] == "completed":
                name = _ENDINGS.get(row.get("completion_failure"), "failed")
            counts[name] = counts.get(name, 0) + row["n"]
        return counts

    def _look_for_paused(self) -> None:
        rows = {row["id"]: row for row in self._stack.open_invocations() if _is_paused(row)}
        self._paused_since = {id: self._paused_since.get(id, now()) for id in rows}
        for id, since in self._paused_since.items():
            if now() - since > _PAUSED_SECONDS:
                if not self._alone:
                    resume(self._stack, id)
                    self.resumed += 1
                if (seen := Paused(id, rows[id]["target"], since)) not in self.paused:
                    self.paused.append(seen)


_ENDINGS = {
    None: "completed",
    "[409] cancelled": "interrupted",
    "[409] canceled": "interrupted",
    "[409] killed": "killed",
}
