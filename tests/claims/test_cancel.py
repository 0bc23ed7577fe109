"""What a cancel does to one handler."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from restate import Context, ObjectContext, Service, TerminalError, VirtualObject

from tests.claims.diary import Diary
from tests.claims.lab import Lab
from tests.claims.probe import Observation, holds_if, probe
from workbench import new_key, wait_until

HOUR = timedelta(hours=1)

cancelling, account = Service("ClaimCancelling"), VirtualObject("ClaimAccount")
diary = Diary()


async def nothing() -> None:
    pass


@cancelling.handler()
async def held(ctx: Context, run: str) -> None:
    """Is elsewhere when the cancel comes, and awaits Restate after that."""
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
    _, awakeable = ctx.awakeable()
    diary.note(run, "awaits")
    try:
        await awakeable
    except TerminalError:
        diary.note(run, "an awakeable's result")
        raise


@cancelling.handler()
async def clean_up(ctx: Context, run: str) -> None:
    """Its cleanup is a durable step, which a probe may hold."""

    async def cleanup() -> None:
        diary.note(run, "cleanup begins")
        if run.startswith("held"):
            await diary.gate(run).passed()

    diary.note(run, "awaits")
    try:
        await ctx.sleep(HOUR)
    except TerminalError:
        await ctx.run_typed("cleanup", cleanup)
        diary.note(run, "cleanup is over")
        raise


@account.handler()
async def reserve(ctx: ObjectContext, compensates: bool) -> None:
    ctx.set("reserved", 100)
    try:
        await ctx.sleep(HOUR)
    except TerminalError:
        if compensates:
            ctx.clear("reserved")
        raise


@account.handler()
async def balance(ctx: ObjectContext) -> str:
    return "free"


@pytest.fixture(scope="module", autouse=True)
def served(lab: Lab) -> Iterator[None]:
    with lab.serving(cancelling, account):
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


@probe("cancel-frees-held-resources")
def test_resources(lab: Lab) -> Observation:
    key = new_key("account")
    holder = lab.ingress.send("ClaimAccount", "reserve", True, key=key)
    lab.wait(holder, "running")
    waiting = lab.ingress.send("ClaimAccount", "balance", key=key)
    before = lab.wait(waiting, "pending")
    lab.admin.cancel(holder)
    lab.over_within(waiting, 5.0)
    after = lab.outcome(waiting)
    return holds_if(
        after == "success",
        f"the next call of the object's key: {before} before the cancel, {after} after it",
    )


def reserved_after_cancel(lab: Lab, compensates: bool) -> str:
    key = new_key("account")
    id = lab.ingress.send("ClaimAccount", "reserve", compensates, key=key)
    wait_until(lambda: lab.state("ClaimAccount", key), what="the reservation")
    lab.admin.cancel(id)
    lab.wait(id, "completed")
    state = lab.state("ClaimAccount", key)
    return ", ".join(f"{name} is {value}" for name, value in state.items()) or "nothing"


@probe("cancel-cooperates-to-roll-back")
def test_roll_back(lab: Lab) -> Observation:
    left = reserved_after_cancel(lab, compensates=True)
    return holds_if(left == "nothing", f"left in the state of a handler that compensates: {left}")


@probe("rollback-needs-compensation-logic")
def test_no_compensation(lab: Lab) -> Observation:
    left = reserved_after_cancel(lab, compensates=False)
    return holds_if(left != "nothing", f"left in the state of a handler that does not: {left}")


def after_cancels(lab: Lab, cancels: int) -> tuple[list[str], list[str]]:
    """What a handler notes, and what its journal has, after its cancel, or more than one."""
    run = new_key("held")
    id = begin(lab, "clean_up", run)
    lab.admin.cancel(id)
    diary.gate(run).wait_reached()
    for _ in range(cancels - 1):
        lab.admin.cancel(id)
        lab.over_within(id, 3.0)
    diary.gate(run).open()
    lab.wait(id, "completed")
    entries = lab.entries(id)
    return did(run), entries[entries.index("Notification: Signal") + 1 :]


@probe("cancel-allows-proper-cleanup")
def test_cleanup(lab: Lab) -> Observation:
    noted, _ = after_cancels(lab, 1)
    return holds_if(
        noted[-1] == "cleanup is over", f"{', '.join(noted)}; then the invocation ends"
    )


@probe("terminal-error-gives-chance-to-clean-up")
def test_durable_cleanup(lab: Lab) -> Observation:
    _, entries = after_cancels(lab, 1)
    return holds_if(
        entries == ["Command: Run", "Notification: Run", "Command: Output"],
        f"in the journal after the signal: {', '.join(entries)}",
    )


@probe("cleanup-always-runs")
def test_second_cancel(lab: Lab) -> Observation:
    once, _ = after_cancels(lab, 1)
    twice, _ = after_cancels(lab, 2)
    return holds_if(
        twice[-1] == once[-1] == "cleanup is over",
        f"after one cancel, {once[-1]}; a second one comes, and no more than: {twice[-1]}",
    )


@probe("try-catch-runs-durable-cleanup")
def test_try_catch(lab: Lab) -> Observation:
    noted, entries = after_cancels(lab, 1)
    return holds_if(
        noted == ["cleanup begins", "cleanup is over"] and entries[-1] == "Command: Output",
        f"the except block runs a durable step ({', '.join(noted)}), raises again, and that is the "
        f"{entries[-1].removeprefix('Command: ').lower()}",
    )
