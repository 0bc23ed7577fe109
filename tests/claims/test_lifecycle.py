"""An invocation's lifecycle, and where in it a cancel is taken."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from restate import Context, ObjectContext, Service, VirtualObject

from tests.claims.conftest import Observed
from tests.claims.lab import (
    BACKING_OFF,
    CANCELLED,
    HOUR,
    KILLED,
    SOON,
    Lab,
    Notes,
    happens,
    nothing,
    retries,
)
from tests.gate import Gate
from workbench import AdminError, new_key, wait_until

_DOZES = timedelta(milliseconds=50)


@pytest.mark.claims("lifecycle-is-well-defined")
def test_lifecycle(lab: Lab, observed: Observed) -> None:
    """One invocation goes through every status; a gate or a delay holds it in each."""
    key, gates, mended = new_key("life"), {"holder": Gate(), "work": Gate()}, Gate()
    attempts: list[int] = []
    life = VirtualObject(
        "ClaimLife",
        inactivity_timeout=_DOZES,
        invocation_retry_policy=retries(2, seconds=0.5),
    )

    @life.handler()
    async def hold(ctx: ObjectContext) -> None:
        await gates["holder"].passed()

    @life.handler()
    async def work(ctx: ObjectContext) -> str:
        await ctx.run_typed("work", gates["work"].passed)
        await ctx.sleep(timedelta(seconds=0.7))
        attempts.append(1)
        if len(attempts) <= 2:
            raise ValueError("this attempt fails")
        await mended.passed()
        return "done"

    with lab.serving(life):
        holder = lab.ingress.send("ClaimLife", "hold", key=key)
        lab.wait(holder, "running")
        id = lab.ingress.send("ClaimLife", "work", key=key, delay=1)
        path = [lab.wait(id, "scheduled")]
        if happens(lambda: lab.row(id)["status"] == "pending", 1 + SOON):  # not with vqueues
            path.append("pending")
        gates["holder"].open()
        gates["work"].wait_reached()
        path.append(lab.row(id)["status"])
        gates["work"].open()
        path.append(lab.wait(id, "suspended"))
        wait_until(lambda: attempts, what="an attempt")
        path.append(
            wait_until(
                lambda: (status := lab.row(id)["status"]) in BACKING_OFF and status,
                what="the wait for the next attempt",
            )
        )
        path.append(lab.wait(id, "paused"))
        lab.admin.resume(id)
        mended.wait_reached()
        path.append(lab.row(id)["status"])
        mended.open()
        lab.wait(id, "completed")
        path.append(lab.row(id)["status"])
        refused = []
        for act in (lab.admin.cancel, lab.admin.pause, lab.admin.resume):
            try:
                act(id)
            except AdminError as error:
                refused.append(error.status_code)
        waits = r"(backing-off|ready)"
        way = rf"scheduled (pending )?running suspended {waits} paused running completed"
        observed(
            "lifecycle-is-well-defined",
            bool(re.fullmatch(way, " ".join(path))) and refused == [409, 409, 409],
            f"one invocation: {', '.join(path)}; then cancel, pause and resume are refused: "
            f"{', '.join(map(str, refused)) or 'none is'}",
        )


def changing(name: str, another_way: Notes) -> Service:
    """A service that asks for another step than its journal has, once `another_way` is noted."""
    service = Service(name, invocation_retry_policy=retries(2))

    @service.handler()
    async def work(ctx: Context) -> None:
        await ctx.run_typed("scan" if another_way else "build", nothing)
        raise ValueError("this attempt fails")

    return service


@pytest.mark.claims("cancel-at-any-point", "kill-when-cancel-fails")
def test_any_point(lab: Lab, observed: Observed) -> None:
    """The invocations stay in their statuses until they are cancelled."""
    key, notes, mended, another_way = new_key("any-point"), Notes(), Notes(), Notes()
    queue, points = VirtualObject("ClaimQueue"), Service("ClaimPoints")
    stuck_service = changing("ClaimStuck", another_way)

    @queue.handler()
    async def hold(ctx: ObjectContext) -> None:
        await ctx.sleep(HOUR)

    async def rest(ctx: Context) -> None:
        await ctx.sleep(HOUR)

    points.handler("rest")(rest)
    points.handler("doze", inactivity_timeout=_DOZES)(rest)

    @points.handler()
    async def begin(ctx: Context) -> None:
        """Waits for something from outside, and has nothing in its journal."""
        _, awakeable = ctx.awakeable(type_hint=str)
        notes.append("waits")
        await awakeable

    async def fail_first(ctx: Context) -> None:
        if not mended:
            raise ValueError("this attempt fails")
        await ctx.sleep(HOUR)

    points.handler("back_off", invocation_retry_policy=retries(9, seconds=300))(fail_first)
    points.handler("pause", invocation_retry_policy=retries(2))(fail_first)

    with lab.serving(queue, points, stuck_service):
        send = lab.ingress.send
        lab.wait(send("ClaimQueue", "hold", key=key), "running")
        found = {
            "scheduled": send("ClaimPoints", "rest", delay=3600),
            "pending": send("ClaimQueue", "hold", key=key),
            "running": send("ClaimPoints", "rest"),
            "running with an empty journal": send("ClaimPoints", "begin"),
            "backing-off for minutes": send("ClaimPoints", "back_off"),
            "suspended": send("ClaimPoints", "doze"),
            "paused": send("ClaimPoints", "pause"),
        }
        stuck = send("ClaimStuck", "work")
        for status, id in found.items():
            wanted = status.split()[0]
            lab.wait(id, *(BACKING_OFF if wanted == "backing-off" else (wanted,)))
        notes.wait("waits")
        mended.append("mended")
        at_once, later = [], []
        for status, id in found.items():
            lab.admin.cancel(id)
            over = lab.over_within(SOON, id) and lab.outcome(id) in (CANCELLED, "no record")
            (at_once if over else later).append(status)

        lab.wait_pause(stuck)
        another_way.append("another way")
        lab.admin.cancel(stuck)
        lab.wait_pause(stuck, 2)
        after_cancel = lab.outcome(stuck)
        lab.admin.kill(stuck)
        lab.over_within(3.0, stuck)
        after_kill = lab.outcome(stuck)
    words = f"ends at once when {', '.join(at_once)}"
    words += f"; not within half a second when {', '.join(later)}" if later else ""
    words += f"; one whose code does not fit its journal is {after_cancel} after it"
    observed("cancel-at-any-point", not later and after_cancel == CANCELLED, words)
    observed(
        "kill-when-cancel-fails",
        after_kill == KILLED,
        f"one whose code does not fit its journal: {after_cancel} after a cancel, {after_kill} "
        "after a kill",
    )
