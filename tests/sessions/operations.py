"""What is under way on the server, what the model has seen, and the operator who resumes what was
paused.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from tests.sessions.log import Paused, now
from tests.stack import Stack
from workbench import ModelRequest, WorkbenchError

T = TypeVar("T")

# How long something stays paused before an operator resumes it.
_PAUSED_SECONDS = 3.0


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


def resume(stack: Stack, id: str) -> None:
    """Resume an invocation, or retry it now; it may be over by then."""
    patiently(lambda: stack.admin.patch(f"/invocations/{id}/resume", allow=(404, 409, 425)))


def note_and_resume(stack: Stack, rows: list[dict[str, Any]], paused: list[Paused]) -> None:
    """Resume what is paused among these, and note it."""
    for row in filter(_is_paused, rows):
        paused.append(Paused(row["id"], row["target"], now()))
        resume(stack, row["id"])


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
        rows = patiently(stack.open_invocations)
        left = without_the_paused(rows) if alone else rows
        if not left or time.monotonic() > deadline:
            break
        if not alone:
            note_and_resume(stack, rows, paused)
        show()
        time.sleep(0.25)
    if alone:
        paused += [Paused(row["id"], row["target"], now()) for row in rows if _is_paused(row)]
    return left


def without_the_paused(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
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


def _is_paused(row: dict[str, Any]) -> bool:
    return bool(row["status"] == "paused")


def _is_task(row: dict[str, Any]) -> bool:
    return str(row["target"]).startswith("CodingTask/")


class _Model(Protocol):
    def requests(self, label_prefix: str = "", *, after: int = 0) -> list[ModelRequest]: ...


class ModelRecord:
    """All requests that the model has seen, collected as the run goes: it forgets, after 10,000.
    Their numbers go up by one, so nothing is lost unnoticed.

    Attributes:
        lost: numbers of requests that the model forgot before they were read to their end.
    """

    def __init__(self, model: _Model) -> None:
        self._model = model
        self._requests: dict[int, ModelRequest] = {}
        self._settled = 0  # up to here all have ended
        self.lost: list[int] = []

    def collect(self) -> None:
        """Read what is new, and again what had not ended."""
        found = self._model.requests(after=self._settled)
        if not found:
            return
        if self._settled + 1 < found[0].number:
            self.lost += [
                number
                for number in range(self._settled + 1, found[0].number)
                if number not in self._requests or self._requests[number].ended_at is None
            ]
            self._settled = found[0].number - 1
        for request in found:
            self._requests[request.number] = request
            if request.ended_at is not None and request.number == self._settled + 1:
                self._settled = request.number

    def by_session(self) -> dict[str, list[ModelRequest]]:
        """The requests by session, oldest first; a label is session/turn/step."""
        sessions = defaultdict(list)
        for _, request in sorted(self._requests.items()):
            sessions[request.label.partition("/")[0]].append(request)
        return sessions


class Watch:
    """Collects the model's record while users act, counts tasks, notes what is paused for some
    seconds, and resumes it, unless nobody is to help (`alone`).

    Attributes:
        tasks: how many tasks there are by how they ended (`running` are those that have not).
        paused: what was seen to be paused.
        resumed: how often something was resumed.
    """

    def __init__(self, stack: Stack, over: threading.Event, *, alone: bool = False) -> None:
        self._stack = stack
        self._over = over
        self._alone = alone
        self._paused_since: dict[str, float] = {}
        self.record = ModelRecord(stack.model)
        self.tasks: Counter[str] = Counter()
        self.paused: list[Paused] = []
        self.resumed = 0

    def run(self) -> None:
        """Go on until it is over."""
        while not self._over.wait(0.5):
            with contextlib.suppress(WorkbenchError):  # busy: it is asked again
                self.record.collect()
            with contextlib.suppress(WorkbenchError):  # the server is away
                self.tasks = self._count_tasks()
                self._look_for_paused()

    def _count_tasks(self) -> Counter[str]:
        rows = self._stack.admin.query(
            "SELECT status, completion_failure, count(*) AS n FROM sys_invocation "
            "WHERE target = 'CodingTask/run_task' GROUP BY status, completion_failure"
        )
        counts: Counter[str] = Counter()
        for row in rows:
            name = "paused" if _is_paused(row) else "running"
            if row["status"] == "completed":
                name = _ENDINGS.get(row.get("completion_failure"), "failed")
            counts[name] += row["n"]
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
