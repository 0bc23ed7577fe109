"""One session, many messages: the queue of a virtual object's key, and the plainest session."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from restate import Context, ObjectContext, Service, TerminalError, VirtualObject

from tests.claims.diary import Diary
from tests.claims.lab import Lab
from tests.claims.probe import Observation, holds_if, probe
from workbench import new_key, wait_until

counter = VirtualObject("ClaimCounter")
session, task = VirtualObject("ClaimSession"), Service("ClaimTask")
diary = Diary()


@counter.handler()
async def pass_through(ctx: ObjectContext, run: str) -> None:
    diary.note(run, "enters")
    await ctx.sleep(timedelta(milliseconds=20))
    await diary.gate(run).passed()
    diary.note(run, "leaves")


# The session of the guide, "the invocation ID of any running task" in one state key, and a task
# that "notifies the orchestrator" when it is cancelled.


@session.handler()
async def message(ctx: ObjectContext) -> str | None:
    """The id of the task that was interrupted."""
    current = await ctx.get("current_task_id", type_hint=str)
    if current:
        ctx.cancel_invocation(current)
        with contextlib.suppress(TerminalError):
            await ctx.attach_invocation(current)
    ctx.set("current_task_id", await ctx.service_send(run_task, ctx.key()).invocation_id())
    return current


@session.handler()
async def task_finished(ctx: ObjectContext) -> None:
    ctx.set("reports", (await ctx.get("reports", type_hint=int) or 0) + 1)
    ctx.clear("current_task_id")


@task.handler()
async def run_task(ctx: Context, key: str) -> None:
    try:
        await ctx.sleep(timedelta(hours=1))
    except TerminalError:
        ctx.object_send(task_finished, key=key, arg=None)
        raise


@pytest.fixture(scope="module", autouse=True)
def served(lab: Lab) -> Iterator[None]:
    with lab.serving(counter, session, task):
        yield


def most_at_once(notes: list[str]) -> int:
    inside = most = 0
    for note in notes:
        inside += 1 if note == "enters" else -1
        most = max(most, inside)
    return most


def run_four(lab: Lab, keys: int) -> int:
    """How many of four concurrent calls, to so many keys, were at work at the same time."""
    run = new_key("queue")
    with ThreadPoolExecutor(4) as pool:
        ids = list(
            pool.map(
                lambda n: lab.ingress.send(
                    "ClaimCounter", "pass_through", run, key=f"{run}-{n % keys}"
                ),
                range(4),
            )
        )
    diary.wait(run, "enters", times=keys)
    diary.gate(run).open()
    for id in ids:
        lab.wait(id, "completed")
    return most_at_once(diary.of(run))


@probe("keys-queue-concurrent-requests")
def test_queue(lab: Lab) -> Observation:
    same, four = run_four(lab, 1), run_four(lab, 4)
    return holds_if(
        (same, four) == (1, 4),
        f"of four calls at once, at work at the same time on one key: {same}; on four keys: {four}",
    )


@probe("pattern-has-no-races")
def test_races(lab: Lab) -> Observation:
    key = new_key("naive")
    found = []
    for number in (1, 2, 3):
        interrupted = lab.ingress.call("ClaimSession", "message", key=key)
        found.append("a task" if interrupted else "nothing")
        if number == 2:
            wait_until(
                lambda: "reports" in lab.state("ClaimSession", key), what="the first task's report"
            )
    return holds_if(
        found == ["nothing", "a task", "a task"],
        "where a task's report clears the session's one current task ID, three messages interrupt: "
        f"{', '.join(found)}",
    )
