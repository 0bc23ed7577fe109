"""A handler that cancels an invocation and waits for its end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from restate import Context, Service, TerminalError

from tests.claims.diary import Diary
from tests.claims.lab import Lab
from tests.claims.probe import Observation, holds_if, probe
from workbench import new_key

orchestrator = Service("ClaimOrchestrator")
diary = Diary()


@orchestrator.handler()
async def task(ctx: Context, run: str) -> None:
    async def cleanup() -> None:
        await diary.gate(run).passed()

    diary.note(run, "the task is at work")
    try:
        await ctx.sleep(timedelta(hours=1))
    except TerminalError:
        await ctx.run_typed("cleanup", cleanup)
        diary.note(run, "the task's cleanup is over")
        raise


@orchestrator.handler()
async def interrupt(ctx: Context, order: dict[str, str]) -> None:
    ctx.cancel_invocation(order["task"])
    try:
        await ctx.attach_invocation(order["task"])
        diary.note(order["run"], "attach returns")
    except TerminalError as error:
        kind, code = type(error).__name__, error.status_code
        diary.note(order["run"], f"attach raises {kind} {code} {error.message}")


@pytest.fixture(scope="module", autouse=True)
def served(lab: Lab) -> Iterator[None]:
    with lab.serving(orchestrator):
        yield


def interrupted(lab: Lab, run: str) -> tuple[str, str]:
    """Have a task interrupted by a handler; the ids of the task and of that handler."""
    id = lab.ingress.send("ClaimOrchestrator", "task", run)
    diary.wait(run, "the task is at work")
    by = lab.ingress.send("ClaimOrchestrator", "interrupt", {"task": id, "run": run})
    diary.gate(run).wait_reached()
    return id, by


@probe("ctx-cancel-is-durable")
def test_ctx_cancel(lab: Lab) -> Observation:
    run = new_key("interrupt")
    id, by = interrupted(lab, run)
    sent, came = lab.entries(by).count("Command: SendSignal"), lab.cancels(id)
    diary.gate(run).open()
    lab.wait(by, "completed")
    return holds_if(
        sent == came == 1,
        f"{sent} SendSignal in the journal of who cancels, {came} Signal in that of the cancelled",
    )


@probe("attach-blocks-until-cleanup")
def test_attach(lab: Lab) -> Observation:
    run = new_key("interrupt")
    _, by = interrupted(lab, run)
    during = lab.row(by)["status"]
    diary.gate(run).open()
    lab.wait(by, "completed")
    order = [what.split(" raises")[0] for what in diary.of(run)[1:]]
    return holds_if(
        during in ("running", "suspended") and order[-1] == "attach",
        f"{during} during the cleanup; the order is: {', '.join(order)}",
    )


@probe("attach-raises-terminal-error")
def test_attach_raises(lab: Lab) -> Observation:
    run = new_key("interrupt")
    _, by = interrupted(lab, run)
    diary.gate(run).open()
    lab.wait(by, "completed")
    raised = diary.of(run)[-1]
    return holds_if("TerminalError" in raised, raised)
