"""How a cancel gets to the code: by way of the server, durably, as soon as can be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from restate import Context, InvocationRetryPolicy, Service, TerminalError

from tests.claims.diary import Diary
from tests.claims.lab import CANCELLED, KILLED, Lab
from tests.claims.probe import Observation, holds_if, probe
from workbench import new_key, serve_here, start_restate, wait_until
from workbench.home import as_home

STEP_SECONDS = 0.8

_AGAIN = InvocationRetryPolicy(
    initial_interval=timedelta(milliseconds=30),
    exponentiation_factor=1.0,
    max_attempts=100_000,
    on_max_attempts="pause",
)

away = Service("ClaimAway", invocation_retry_policy=_AGAIN)
steps = Service("ClaimSteps", inactivity_timeout=timedelta(seconds=30))
impatient = Service("ClaimImpatient", inactivity_timeout=timedelta(milliseconds=50))
orchestrator = Service("ClaimOrchestrator")
diary = Diary()


@away.handler("work")
async def away_work(ctx: Context, run: str) -> None:
    try:
        await ctx.sleep(timedelta(hours=1))
    except TerminalError:
        diary.note(run, "told")
        raise


async def long_step(ctx: Context, run: str) -> None:
    async def step() -> None:
        diary.note(run, "the step begins")
        began = time.monotonic()
        while time.monotonic() < began + STEP_SECONDS:
            await asyncio.sleep(0.01)
        diary.note(run, "the step ends")

    try:
        await ctx.run_typed("step", step)
    except TerminalError:
        diary.note(run, "the handler is told")
        # The attempt, and with it the step, goes on until the cleanup is over.
        await diary.gate(run).passed()
        raise


for service in (steps, impatient):
    service.handler("work")(long_step)


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
    with lab.serving(steps, impatient, orchestrator):
        yield


@contextmanager
def with_code_away(lab: Lab) -> Iterator[tuple[str, int]]:
    """An invocation whose deployment has gone in the middle of it, and the port where it was."""
    with lab.serving(away) as deployment:
        id = lab.ingress.send("ClaimAway", "work", new_key("away"))
        wait_until(lambda: len(lab.entries(id)) > 1, what="the handler to be at work")
        deployment.stop()
        lab.wait(id, "backing-off")
        yield id, deployment.port


def attempts_after(lab: Lab, id: str, count: int) -> str:
    """How the invocation stands after so many attempts more, if it comes to that."""
    before = lab.row(id).get("retry_count", 0)

    def tried() -> bool:
        row = lab.row(id)
        return row["status"] == "completed" or row.get("retry_count", 0) >= before + count

    wait_until(tried, what=f"{count} attempts more, or the end")
    row = lab.row(id)
    return lab.outcome(id) if row["status"] == "completed" else "not over"


@probe("cancel-needs-reachable-deployment")
def test_deployment_away(lab: Lab) -> Observation:
    with with_code_away(lab) as (id, port):
        lab.admin.cancel(id)
        without = attempts_after(lab, id, 3)
        with serve_here(away, port=port):
            lab.over_within(id, 10.0)
            again = lab.outcome(id)
    return holds_if(
        (without, again) == ("not over", CANCELLED),
        f"{without} after three attempts with the deployment away; once it is back: {again}",
    )


@probe("kill-when-unreachable")
def test_kill_away(lab: Lab) -> Observation:
    with with_code_away(lab) as (id, _):
        lab.admin.kill(id)
        lab.over_within(id, 5.0)
        without = lab.outcome(id)
    return holds_if(without == KILLED, f"killed with the deployment away: {without}")


@probe("cancel-goes-to-the-runtime")
def test_runtime(lab: Lab) -> Observation:
    with with_code_away(lab) as (id, _):
        lab.admin.cancel(id)
        attempts_after(lab, id, 1)
        signals = lab.cancels(id)
    return holds_if(
        signals == 1,
        f"the server takes it, deployment or not: {signals} signal in the journal",
    )


def order_of_step_and_cancel(lab: Lab, service: str) -> str:
    """What comes first, when a step is cancelled half-way through."""
    run = new_key("step")
    id = lab.ingress.send(service, "work", run)
    diary.wait(run, "the step begins")
    began = time.monotonic()
    wait_until(lambda: time.monotonic() > began + STEP_SECONDS / 2, what="half of the step")
    lab.admin.cancel(id)
    diary.wait(run, "the handler is told")
    (_, first, *_) = diary.of(run)
    diary.gate(run).open()
    lab.wait(id, "completed")
    return "in the middle of it" if first == "the handler is told" else "when it is over"


@probe("runtime-forwards-cancel-eagerly")
def test_eager(lab: Lab) -> Observation:
    patient = order_of_step_and_cancel(lab, "ClaimSteps")
    asked = order_of_step_and_cancel(lab, "ClaimImpatient")
    return holds_if(
        patient == asked == "in the middle of it",
        f"a handler in a long step is told {patient}; one that was asked to suspend meanwhile "
        f"(inactivity_timeout), {asked}",
    )


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
        order == ["the task's cleanup is over", "attach"],
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


@probe("cancel-signal-is-durable")
def test_server_crash(tmp_path: Path, lab: Lab) -> Observation:
    """The server is killed after it has taken the cancel, and the code is not there to be told."""
    with Lab.started(tmp_path, lab.version) as own:
        with with_code_away(own) as (id, port):
            own.admin.cancel(id)
            own.restate.kill()
            with as_home(tmp_path):
                start_restate("embedded", version=lab.version)
            wait_until(lambda: own.row(id), what="the invocation in the server that came back")
            signals = own.cancels(id)
            with serve_here(away, port=port):
                own.over_within(id, 15.0)
                outcome = own.outcome(id)
    return holds_if(
        (signals, outcome) == (1, CANCELLED),
        f"after a crash of the server: {signals} signal in the journal; in the end {outcome}",
    )
