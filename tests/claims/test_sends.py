"""What a cancel leaves alone: calls that were sent, at once or for later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from restate import Context, Service

from tests.claims.diary import Diary
from tests.claims.lab import CANCELLED, Lab
from tests.claims.probe import Observation, holds_if, probe
from workbench import new_key

errands = Service("ClaimErrands")
diary = Diary()


@errands.handler()
async def sender(ctx: Context, run: str) -> None:
    ctx.service_send(errand, run)
    ctx.service_send(errand, run, send_delay=timedelta(milliseconds=700))
    await ctx.sleep(timedelta(hours=1))


@errands.handler()
async def errand(ctx: Context, run: str) -> str:
    await diary.gate(run).passed()
    await ctx.sleep(timedelta(milliseconds=1))  # a cancel would surface here
    return "done"


@pytest.fixture(scope="module", autouse=True)
def served(lab: Lab) -> Iterator[None]:
    with lab.serving(errands):
        yield


def cancelled_sender(lab: Lab) -> tuple[list[str], dict[str, str], dict[str, int]]:
    """What becomes of what a cancelled handler had sent, and of the cancels that they got."""
    run = new_key("sent")
    top = lab.ingress.send("ClaimErrands", "sender", run)
    (one_way, delayed) = lab.wait_children(top, count=2)
    if lab.row(one_way)["status"] == "scheduled":
        one_way, delayed = delayed, one_way
    before = [lab.wait(one_way, "running"), lab.wait(delayed, "scheduled")]
    lab.admin.cancel(top)
    assert lab.wait(top, "completed") == CANCELLED
    diary.gate(run).open()
    ids = {"one-way": one_way, "delayed": delayed}
    for id in ids.values():
        lab.over_within(id, 5.0)
    ends = {how: lab.outcome(id) for how, id in ids.items()}
    return before, ends, {how: lab.cancels(id) for how, id in ids.items()}


@probe("one-way-calls-execute-fully")
def test_one_way(lab: Lab) -> Observation:
    before, ends, _ = cancelled_sender(lab)
    end = ends["one-way"]
    return holds_if(end == "success", f"{before[0]} when its caller is cancelled; {end} in the end")


@probe("delayed-calls-execute-fully")
def test_delayed(lab: Lab) -> Observation:
    before, ends, _ = cancelled_sender(lab)
    end = ends["delayed"]
    return holds_if(end == "success", f"{before[1]} when its caller is cancelled; {end} in the end")


@probe("sends-are-detached")
def test_detached(lab: Lab) -> Observation:
    _, _, cancels = cancelled_sender(lab)
    return holds_if(
        not any(cancels.values()),
        "cancel signals in the journals: "
        + ", ".join(f"{how} {count}" for how, count in cancels.items()),
    )
