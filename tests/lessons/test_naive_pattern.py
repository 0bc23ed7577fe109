"""Lesson 02: one `current_task_id` that a late report clears loses track of the task at work."""

import contextlib
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from restate import Context, ObjectContext, Service, TerminalError, VirtualObject

from tests.stack import Stack
from workbench import serve_here, state_rows, wait_until

naive_agent, naive_task = VirtualObject("NaiveTestAgent"), Service("NaiveTestTask")


@naive_agent.handler()
async def message(ctx: ObjectContext, content: str) -> dict[str, Any]:
    current = await ctx.get("current_task_id", type_hint=str)
    if current:
        ctx.cancel_invocation(current)
        with contextlib.suppress(TerminalError):
            await ctx.attach_invocation(current)
    task_id = await ctx.service_send(work, ctx.key()).invocation_id()
    ctx.set("current_task_id", task_id)
    return {"task_id": task_id, "interrupted": current}


@naive_agent.handler()
async def report(ctx: ObjectContext) -> None:
    ctx.set("reports", (await ctx.get("reports", type_hint=int) or 0) + 1)
    ctx.clear("current_task_id")


@naive_task.handler()
async def work(ctx: Context, session: str) -> None:
    try:
        await ctx.sleep(timedelta(hours=1))
    except TerminalError:
        ctx.object_send(report, key=session, arg=None)
        raise


@pytest.fixture
def served(stack: Stack) -> Iterator[None]:
    with serve_here(naive_agent, naive_task, restate=stack.restate) as served:
        deployment = stack.admin.register(served.uri)["id"]
        yield
        stack.admin.delete(f"/deployments/{deployment}", force=True)


@pytest.mark.usefixtures("served")
def test_the_third_message_interrupts_nothing(stack: Stack) -> None:
    key = uuid.uuid4().hex

    def say() -> dict[str, Any]:
        return dict(stack.ingress.call("NaiveTestAgent", "message", "hello", key=key))

    def state() -> dict[str, str]:
        return {row["key"]: row["value"] for row in state_rows(stack.admin, "NaiveTestAgent", key)}

    first, second = say(), say()
    assert (first["interrupted"], second["interrupted"]) == (None, first["task_id"])
    wait_until(lambda: "reports" in state(), what="the report of the first task")
    assert "current_task_id" not in state()  # cleared, though it was the second task's by then
    third = say()
    assert third["interrupted"] is None

    tasks = f"id IN ('{second['task_id']}', '{third['task_id']}') AND status = 'running'"
    wait_until(
        lambda: stack.count("sys_invocation", tasks) == 2, what="two tasks of one session at work"
    )
    for task in (second, third):
        stack.admin.kill(task["task_id"])
