"""An invocation's lifecycle, and where in it a cancel is taken."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from restate import Context, InvocationRetryPolicy, ObjectContext, Service, VirtualObject

from tests.claims.diary import Diary
from tests.claims.lab import CANCELLED, Lab
from tests.claims.probe import Observation, holds_if, probe
from workbench import new_key, wait_until

KNOWN = ("scheduled", "pending", "ready", "running", "backing-off", "suspended", "paused")

_TWICE = InvocationRetryPolicy(
    initial_interval=timedelta(milliseconds=10), max_attempts=2, on_max_attempts="pause"
)
_RARELY = InvocationRetryPolicy(
    initial_interval=timedelta(minutes=5), max_attempts=9, on_max_attempts="pause"
)

life, queue = Service("ClaimLife"), VirtualObject("ClaimQueue")

diary = Diary()
mended: set[str] = set()
another_way: set[str] = set()


@life.handler()
async def wait(ctx: Context, run: str) -> None:
    await ctx.sleep(timedelta(hours=1))


@life.handler()
async def begin(ctx: Context, run: str) -> None:
    """Waits for something from outside, and has nothing in its journal."""
    _, awakeable = ctx.awakeable(type_hint=str)
    diary.note(run, "waits")
    await awakeable


@life.handler(inactivity_timeout=timedelta(milliseconds=50))
async def doze(ctx: Context, run: str) -> None:
    await ctx.sleep(timedelta(hours=1))


@life.handler(invocation_retry_policy=_RARELY)
async def back_off(ctx: Context, run: str) -> None:
    if run not in mended:
        raise ValueError("this attempt fails")
    await ctx.sleep(timedelta(hours=1))


@life.handler(invocation_retry_policy=_TWICE)
async def pause(ctx: Context, run: str) -> None:
    if run not in mended:
        raise ValueError("this attempt fails")
    await ctx.sleep(timedelta(hours=1))


@life.handler(invocation_retry_policy=_TWICE)
async def change_its_mind(ctx: Context, run: str) -> None:
    """Asks for another step than its journal has, once it was told to."""

    async def step() -> None:
        pass

    await ctx.run_typed("scan" if run in another_way else "build", step)
    raise ValueError("this attempt fails")


@queue.handler()
async def hold(ctx: ObjectContext, run: str) -> None:
    await ctx.sleep(timedelta(hours=1))


@pytest.fixture(scope="module", autouse=True)
def served(lab: Lab) -> Iterator[None]:
    with lab.serving(life, queue):
        yield


def in_each_status(lab: Lab, run: str) -> dict[str, str]:
    """Invocations, by the status in which they are and stay."""
    lab.wait(lab.ingress.send("ClaimQueue", "hold", run, key=run), "running")
    found = {
        "scheduled": lab.ingress.send("ClaimLife", "wait", run, delay=3600),
        "pending": lab.ingress.send("ClaimQueue", "hold", run, key=run),
        "running": lab.ingress.send("ClaimLife", "wait", run),
        "running with an empty journal": lab.ingress.send("ClaimLife", "begin", run),
        "backing-off for minutes": lab.ingress.send("ClaimLife", "back_off", run),
        "suspended": lab.ingress.send("ClaimLife", "doze", run),
        "paused": lab.ingress.send("ClaimLife", "pause", run),
    }
    for status, id in found.items():
        lab.wait(id, status.split()[0])
    diary.wait(run, "waits")
    return found


@probe("lifecycle-is-well-defined")
def test_lifecycle(lab: Lab) -> Observation:
    found = in_each_status(lab, new_key("life"))
    statuses = dict.fromkeys(lab.row(id)["status"] for id in found.values())
    for id in found.values():
        lab.admin.kill(id)
        assert lab.over_within(id, 5.0)
    over = {lab.row(id).get("status", "no record") for id in found.values()}
    rows = lab.admin.query("SELECT DISTINCT status FROM sys_invocation")
    strange = {row["status"] for row in rows} - {*KNOWN, "completed"}
    assert strange == set(), strange
    return holds_if(
        over <= {"completed", "no record"},
        f"{', '.join(statuses)}, and in the end {' or '.join(sorted(over))}",
    )


@probe("cancel-at-any-point")
def test_any_point(lab: Lab) -> Observation:
    run = new_key("any-point")
    found = in_each_status(lab, run)
    mended.add(run)
    ended: list[str] = []
    later: list[str] = []
    for status, id in found.items():
        lab.admin.cancel(id)
        over = lab.over_within(id, 2.0)
        fitting = over and lab.outcome(id) in (CANCELLED, "no record")
        (ended if fitting else later).append(status)

    stuck = lab.ingress.send("ClaimLife", "change_its_mind", run)
    lab.wait(stuck, "paused")
    another_way.add(run)
    lab.admin.resume(stuck)
    wait_until(lambda: lab.pauses(stuck) == 2, what="the second pause")
    lab.admin.cancel(stuck)
    wait_until(
        lambda: lab.pauses(stuck) == 3 or lab.row(stuck)["status"] == "completed",
        what="the third pause, or the end",
    )
    replay = lab.outcome(stuck)
    seen = f"ends at once when {', '.join(ended)}"
    if later:
        seen += f"; not within two seconds when {', '.join(later)}"
    seen += f"; one whose code does not fit its journal is {replay} after it"
    return holds_if(not later and replay == CANCELLED, seen)
