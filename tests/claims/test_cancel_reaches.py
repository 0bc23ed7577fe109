"""How a cancel gets to the code: by way of the server, durably, as soon as can be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from restate import Context, InvocationRetryPolicy, Service, TerminalError

from tests.claims.diary import Diary
from tests.claims.lab import CANCELLED, KILLED, Lab
from tests.claims.probe import Observation, holds_if, probe
from workbench import AdminError, new_key, serve_here, start_restate, wait_until
from workbench.state_dir import use_state_dir

T = TypeVar("T")

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
        await asyncio.sleep(STEP_SECONDS)  # the work
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


@pytest.fixture(scope="module", autouse=True)
def served(lab: Lab) -> Iterator[None]:
    with lab.serving(steps, impatient):
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
        return bool(row["status"] == "completed" or row.get("retry_count", 0) >= before + count)

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


def patiently(ask: Callable[[], T]) -> T:
    """What a server says that has just come back, once it is true; some queries fail before."""

    def said() -> T | None:
        try:
            return ask()
        except AdminError:
            return None

    answer = wait_until(said, what="the server that came back to answer", timeout=20.0)
    assert answer is not None
    return answer


@probe("cancel-signal-is-durable")
def test_server_crash(tmp_path: Path, lab: Lab) -> Observation:
    """The server is killed after it has taken the cancel, and the code is not there to be told."""
    with Lab.started(tmp_path, lab.version) as own, with_code_away(own) as (id, port):
        own.admin.cancel(id)
        own.restate.kill()
        with use_state_dir(tmp_path):
            start_restate("embedded", version=lab.version)
        signals = patiently(lambda: own.cancels(id))
        with serve_here(away, port=port):
            patiently(lambda: own.row(id)["status"] == "completed")
        outcome = own.outcome(id)
    return holds_if(
        (signals, outcome) == (1, CANCELLED),
        f"after a crash of the server: {signals} signal in the journal; in the end {outcome}",
    )
