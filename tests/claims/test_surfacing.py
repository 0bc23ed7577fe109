"""Where and as what a cancel surfaces in a handler."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from restate import Context, Service, TerminalError

from tests.claims.diary import Diary
from tests.claims.lab import Lab
from tests.claims.probe import Observation, holds_if, probe
from workbench import new_key, wait_until

HOUR = timedelta(hours=1)

cancelling = Service("ClaimCancelling")
diary = Diary()


async def nothing() -> None:
    pass


@cancelling.handler()
async def held(ctx: Context, run: str) -> None:
    """Is elsewhere when the cancel comes, and awaits Restate after that."""
    await ctx.run_typed("first step", nothing)
    try:
        await diary.gate(run).passed()
        diary.note(run, "goes on")
        await ctx.sleep(HOUR)
        diary.note(run, "sleeps to the end")
    except TerminalError as error:
        diary.note(run, f"{type(error).__name__} {error.status_code} {error.message}")
        raise
    except BaseException as error:
        diary.note(run, type(error).__name__)
        raise


@cancelling.handler()
async def held_before_a_step(ctx: Context, run: str) -> None:
    async def step() -> None:
        diary.note(run, "its step begins all the same")

    await ctx.run_typed("first step", nothing)
    await diary.gate(run).passed()
    try:
        await ctx.run_typed("step", step)
    except TerminalError as error:
        diary.note(run, f"ctx.run_typed raises {type(error).__name__}")
        raise


@cancelling.handler()
async def await_run(ctx: Context, run: str) -> None:
    async def step() -> None:
        diary.note(run, "awaits")
        await diary.gate(run).passed()

    try:
        await ctx.run_typed("step", step)
    except TerminalError as error:
        diary.note(run, f"ctx.run_typed: {type(error).__name__}")
        raise


@cancelling.handler()
async def await_call(ctx: Context, run: str) -> None:
    diary.note(run, "awaits")
    try:
        await ctx.service_call(await_sleep, arg=f"{run} below")
    except TerminalError:
        diary.note(run, "a call's response")
        raise


@cancelling.handler()
async def await_sleep(ctx: Context, run: str) -> None:
    diary.note(run, "awaits")
    try:
        await ctx.sleep(HOUR)
    except TerminalError:
        diary.note(run, "a sleep")
        raise


@cancelling.handler()
async def await_awakeable(ctx: Context, run: str) -> None:
    await ctx.run_typed("first step", nothing)
    _, awakeable = ctx.awakeable(type_hint=str)
    diary.note(run, "awaits")
    try:
        await awakeable
    except TerminalError:
        diary.note(run, "an awakeable's result")
        raise


@pytest.fixture(scope="module", autouse=True)
def served(lab: Lab) -> Iterator[None]:
    with lab.serving(cancelling):
        yield


def begin(lab: Lab, handler: str, run: str) -> str:
    """Start a handler; it awaits something of Restate's when its id comes back."""
    id = lab.ingress.send("ClaimCancelling", handler, run)
    diary.wait(run, "awaits")
    return id


def did(run: str) -> list[str]:
    return [what for what in diary.of(run) if what != "awaits"]


def cancel_while_held(lab: Lab, handler: str = "held") -> list[str]:
    """What a handler does that is elsewhere when its cancel comes."""
    run = new_key("elsewhere")
    id = lab.ingress.send("ClaimCancelling", handler, run)
    diary.gate(run).wait_reached()
    lab.admin.cancel(id)
    wait_until(lambda: lab.cancels(id), what="the signal to be in the journal")
    diary.gate(run).open()
    lab.wait(id, "completed")
    return diary.of(run)


@probe("cancel-surfaces-at-next-await")
def test_next_await(lab: Lab) -> Observation:
    noted = cancel_while_held(lab)
    return holds_if(
        noted[0] == "goes on" and len(noted) == 2,
        f"busy elsewhere, the handler {noted[0]}; its next await raises {noted[-1]}",
    )


@probe("cancel-is-terminal-error")
def test_terminal_error(lab: Lab) -> Observation:
    error = cancel_while_held(lab)[-1]
    return holds_if(error.startswith("TerminalError"), f"a {error}")


@probe("terminal-error-at-next-await")
def test_terminal_error_at_next_await(lab: Lab) -> Observation:
    noted = cancel_while_held(lab)
    return holds_if(
        noted[0] == "goes on" and noted[1].startswith("TerminalError"),
        f"busy elsewhere, the handler {noted[0]}; its next await raises {noted[-1]}",
    )


@probe("cancel-surfaces-at-next-run")
def test_next_run(lab: Lab) -> Observation:
    noted = sorted(cancel_while_held(lab, "held_before_a_step"))
    return holds_if(noted[0].startswith("ctx.run_typed raises"), "; ".join(noted))


@probe("cancelled-error-in-the-task")
def test_cancelled_error(lab: Lab) -> Observation:
    run = new_key("run")
    id = lab.ingress.send("ClaimCancelling", "await_run", run)
    diary.gate(run).wait_reached()
    lab.admin.cancel(id)
    lab.wait(id, "completed")
    diary.gate(run).open()
    (raised,) = [what for what in diary.of(run) if what.startswith("ctx.run_typed")]
    return holds_if(raised.endswith("CancelledError"), f"in Python, {raised}")


@probe("await-points-wait-for-results")
def test_await_points(lab: Lab) -> Observation:
    found, without = [], []
    for handler in ("await_run", "await_call", "await_sleep", "await_awakeable"):
        run = new_key(handler)
        id = begin(lab, handler, run)
        lab.admin.cancel(id)
        over = lab.over_within(id, 5.0)
        told = [what.partition(":")[0] for what in did(run)]
        if handler == "await_run":
            diary.gate(run).open()
        if over and len(told) == 1:
            found += told
        else:
            without.append(handler)
    none = f"; none at {', '.join(without)}" if without else ""
    return holds_if(not without, f"raised at the await of {', '.join(found)}{none}")
