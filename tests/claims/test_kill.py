"""What a kill ends, and what it leaves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from restate import (
    Context,
    InvocationRetryPolicy,
    ObjectContext,
    Service,
    TerminalError,
    VirtualObject,
)

from tests.claims.diary import Diary
from tests.claims.lab import KILLED, Lab
from tests.claims.probe import Observation, holds_if, probe
from workbench import new_key, wait_until

HOUR = timedelta(hours=1)

tree, ledger = Service("ClaimKillTree"), VirtualObject("ClaimLedger")
confused = Service(
    "ClaimConfused",
    invocation_retry_policy=InvocationRetryPolicy(
        initial_interval=timedelta(milliseconds=10), max_attempts=2, on_max_attempts="pause"
    ),
)
diary = Diary()
another_way: set[str] = set()


@tree.handler()
async def root(ctx: Context, run: str) -> None:
    try:
        await ctx.service_call(middle, run)
    except TerminalError:
        await ctx.run_typed("undo root", lambda: diary.note(run, "undone"))
        raise


@tree.handler()
async def middle(ctx: Context, run: str) -> None:
    try:
        await ctx.object_call(book, key=run, arg=run)
    except TerminalError:
        await ctx.run_typed("undo middle", lambda: diary.note(run, "undone"))
        raise


@ledger.handler()
async def book(ctx: ObjectContext, run: str) -> None:
    ctx.set("booked", "half")
    try:
        await ctx.sleep(HOUR)
    except TerminalError:
        ctx.clear("booked")
        diary.note(run, "undone")
        raise


@tree.handler()
async def sender(ctx: Context, run: str) -> None:
    ctx.service_send(errand, run)
    ctx.service_send(errand, run, send_delay=timedelta(seconds=1))
    await ctx.sleep(HOUR)


@tree.handler()
async def errand(ctx: Context, run: str) -> str:
    await diary.gate(run).passed()
    return "done"


@confused.handler()
async def change_its_mind(ctx: Context, run: str) -> None:
    """Asks for another step than its journal has, once it was told to."""

    async def step() -> None:
        pass

    await ctx.run_typed("scan" if run in another_way else "build", step)
    raise ValueError("this attempt fails")


@pytest.fixture(scope="module", autouse=True)
def served(lab: Lab) -> Iterator[None]:
    with lab.serving(tree, ledger, confused):
        yield


def killed_tree(lab: Lab) -> tuple[str, list[str], dict[str, Any]]:
    """The run of a tree whose root is killed, the ids of its levels, and what was seen."""
    run = new_key("kill")
    top = lab.ingress.send("ClaimKillTree", "root", run)
    (below,) = lab.wait_children(top)
    (bottom,) = lab.wait_children(below)
    wait_until(lambda: lab.state("ClaimLedger", run), what="a state to be left behind")
    lab.admin.kill(top)
    ids = [top, below, bottom]
    over = all(lab.over_within(id, 3.0) for id in ids)
    return run, ids, {"over": over, "ends": [lab.outcome(id) for id in ids]}


@probe("kill-when-cancel-fails")
def test_when_cancel_fails(lab: Lab) -> Observation:
    run = new_key("confused")
    id = lab.ingress.send("ClaimConfused", "change_its_mind", run)
    lab.wait(id, "paused")
    another_way.add(run)
    lab.admin.cancel(id)
    wait_until(lambda: lab.pauses(id) == 2 or lab.over_within(id, 0), what="a pause, or the end")
    after_cancel = lab.outcome(id)
    lab.admin.kill(id)
    lab.over_within(id, 3.0)
    after_kill = lab.outcome(id)
    return holds_if(
        after_kill == KILLED,
        f"one whose code does not fit its journal: {after_cancel} after a cancel, {after_kill} "
        "after a kill",
    )


@probe("kill-stops-the-tree-at-once")
def test_stops(lab: Lab) -> Observation:
    _, _, seen = killed_tree(lab)
    return holds_if(
        seen["over"] and set(seen["ends"]) == {KILLED},
        f"the root is killed; root, call, and the call's call: {', '.join(seen['ends'])}",
    )


@probe("kill-runs-no-compensation")
def test_no_compensation(lab: Lab) -> Observation:
    run, ids, _ = killed_tree(lab)
    steps = sum(lab.entries(id).count("Command: Run") for id in ids)
    undone = len(diary.of(run))
    return holds_if(
        steps == undone == 0,
        f"of three compensations in `except TerminalError`, {undone} ran; steps of them in the "
        f"journals: {steps}",
    )


@probe("kill-may-leave-inconsistent-state")
def test_inconsistent(lab: Lab) -> Observation:
    run, _, _ = killed_tree(lab)
    left = ", ".join(f"{key} is {value}" for key, value in lab.state("ClaimLedger", run).items())
    return holds_if(bool(left), f"left in the state: {left or 'nothing'}")


def sent_by_a_killed_one(lab: Lab) -> tuple[dict[str, str], dict[str, str]]:
    """What a killed handler had sent: how that stood before, and how it ended."""
    run = new_key("kill-sent")
    top = lab.ingress.send("ClaimKillTree", "sender", run)
    (one_way, delayed) = lab.wait_children(top, count=2)
    if lab.row(one_way)["status"] == "scheduled":
        one_way, delayed = delayed, one_way
    before = {
        "one-way": lab.wait(one_way, "running"),
        "delayed": lab.wait(delayed, "scheduled"),
    }
    diary.gate(run).wait_reached()
    lab.admin.kill(top)
    assert lab.wait(top, "completed") == KILLED
    ids = {"one-way": one_way, "delayed": delayed}
    for id in ids.values():
        lab.over_within(id, 0.5)
    diary.gate(run).open()
    for id in ids.values():
        lab.over_within(id, 3.0)
    return before, {how: lab.outcome(id) for how, id in ids.items()}


@probe("kill-spares-one-way-calls")
def test_one_way(lab: Lab) -> Observation:
    before, ends = sent_by_a_killed_one(lab)
    end = ends["one-way"]
    return holds_if(
        end == "success", f"{before['one-way']} when its caller is killed; {end} in the end"
    )


@probe("kill-spares-delayed-calls")
def test_delayed(lab: Lab) -> Observation:
    before, ends = sent_by_a_killed_one(lab)
    end = ends["delayed"]
    return holds_if(
        end == "success", f"{before['delayed']} when its caller is killed; {end} in the end"
    )
