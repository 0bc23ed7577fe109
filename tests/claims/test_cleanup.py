"""What a handler can do about its cancel: clean up, roll back, give back what it holds."""

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

cleaning, account = Service("ClaimCleaning"), VirtualObject("ClaimAccount")
diary = Diary()


@cleaning.handler()
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
    with lab.serving(cleaning, account):
        yield


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
    id = lab.ingress.send("ClaimCleaning", "clean_up", run)
    diary.wait(run, "awaits")
    lab.admin.cancel(id)
    diary.gate(run).wait_reached()
    for _ in range(cancels - 1):
        lab.admin.cancel(id)
        lab.over_within(id, 3.0)
    diary.gate(run).open()
    lab.wait(id, "completed")
    entries = lab.entries(id)
    noted = [what for what in diary.of(run) if what != "awaits"]
    return noted, entries[entries.index("Notification: Signal") + 1 :]


@probe("cancel-allows-proper-cleanup")
def test_cleanup(lab: Lab) -> Observation:
    noted, _ = after_cancels(lab, 1)
    return holds_if(noted[-1] == "cleanup is over", f"{', '.join(noted)}; then the invocation ends")


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
