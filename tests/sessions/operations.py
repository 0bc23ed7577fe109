"""What is under way on the server, and what breaks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.stack import Stack
from workbench import WorkbenchError
from workbench.oracle.log import Fault, now

T = TypeVar("T")


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


@dataclass(frozen=True)
class Invocation:
    """An invocation of an agent that is not over.

    Attributes:
        session: the session that it belongs to, or works for.
        task: the task that it is, or works for; None if it is a handler of the session.
    """

    id: str
    target: str
    status: str
    session: str
    task: str | None

    @property
    def part(self) -> str:
        """`task`, `step` if it works for one, or else the name of the session's handler."""
        if self.id == self.task:
            return "task"
        return "step" if self.task else self.target.rpartition("/")[2]

    @property
    def of_task(self) -> bool:
        """Whether it is a task, or a step of one that holds no key."""
        return "Task/" in self.target


def under_way(stack: Stack) -> list[Invocation]:
    """All invocations that are not over, oldest first."""
    return invocations(patiently(stack.open_invocations))


def invocations(rows: list[dict[str, Any]]) -> list[Invocation]:
    """The invocations of these rows of `sys_invocation`."""
    by_id = {row["id"]: row for row in rows}

    def invocation(row: dict[str, Any]) -> Invocation:
        id, target = row["id"], row["target"]
        parent = by_id.get(row.get("invoked_by_id"))
        caller = invocation(parent) if parent else None
        session, task = target.split("/")[1], caller.task if caller else None
        if "Task/" in target:  # a service, without a key
            session = row["invoked_by_target"].split("/")[1]
            if caller and caller.of_task:
                session = caller.session
        if target.endswith("Task/run_task"):
            task = id
        return Invocation(id, target, row["status"], session, task)

    return [invocation(row) for row in rows]


def resume(stack: Stack, id: str) -> None:
    """Resume an invocation, or retry it now; it may be over by then."""
    patiently(lambda: stack.admin.patch(f"/invocations/{id}/resume", allow=(404, 409, 425)))


@contextmanager
def broken(stack: Stack, kind: str, faults: list[Fault]) -> Iterator[None]:
    """Have something broken until the block ends, and note that.

    "agent" and "server" are SIGKILLed and come back; every other kind is a fault of the model.
    """
    began = now()
    if kind == "agent":
        stack.agent.kill()
    elif kind == "server":
        stack.kill_server(len(faults))
    else:
        stack.model.fail(
            kind,
            retry_after=0.2 if kind == "rate_limit" else None,
            after_tokens=3 if kind == "cut" else None,
        )
    try:
        yield
    finally:
        if kind == "agent":
            stack.agent.start()
        elif kind == "server":
            stack.start_server()
        else:
            stack.model.mend()
        faults.append(Fault(kind, began, now()))
