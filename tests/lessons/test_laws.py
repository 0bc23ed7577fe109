"""What the lessons say in prose, and neither a ✓ cell nor a claim's test proves."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from restate import Context, ObjectContext, Service, TerminalError, VirtualObject

from agent.durable import leave_or_result, stay_until_over
from tests.gate import Gate
from tests.stack import Stack
from workbench import (
    journal_rows,
    new_key,
    serve_here,
    state_rows,
    tree_rows,
    wait_until,
)

CANCELLED = "completed · failure · [409] cancelled"
LONG = timedelta(seconds=30)

laws, ledger = Service("Laws"), VirtualObject("LawsLedger")
gates: dict[str, Gate] = {}


@laws.handler()
async def held_leaf(ctx: Context, run: str) -> None:
    try:
        await ctx.sleep(LONG)
    except TerminalError:
        await gates[run].passed()
        raise


@laws.handler()
async def bare_await(ctx: Context, run: str) -> None:
    call = ctx.service_call(held_leaf, run)
    try:
        await call
    except TerminalError:
        await stay_until_over(call)
        raise


@ledger.handler()
async def strike_out(ctx: ObjectContext) -> None:
    """The first of these never ends by itself."""
    if not await ctx.get("struck", type_hint=bool):
        ctx.set("struck", True)
        await ctx.sleep(LONG)


@ledger.handler()
async def break_down(ctx: ObjectContext) -> None:
    raise ValueError("a bug, so it tries again and again, and holds its key")


@laws.handler()
async def cleanup_by_call(ctx: Context, run: str) -> None:
    try:
        await leave_or_result(ctx.sleep(LONG))
    except TerminalError:
        while True:
            call = ctx.object_call(strike_out, key=run, arg=None)
            if not await stay_until_over(call):  # else it was told of that cancellation, too
                break
        raise


@pytest.fixture(scope="module")
def served(stack: Stack) -> Iterator[Stack]:
    """The stack, with the services of this file."""
    with serve_here(laws, ledger) as here:
        deployment = stack.admin.register(here.uri)["id"]
        yield stack
        stack.admin.delete(f"/deployments/{deployment}", force=True)


def _sleeps(stack: Stack, id: str) -> bool:
    return any(row["entry"] == "Sleep" for row in journal_rows(stack.admin, id))


def test_a_bare_await_that_was_cancelled_cannot_be_waited_for(served: Stack) -> None:
    run = new_key("laws")
    gates[run] = Gate()
    root = served.ingress.send("Laws", "bare_await", run)
    (leaf,) = wait_until(lambda: served.children(root, "Laws/%"), what="the call")
    wait_until(lambda: _sleeps(served, leaf), what="the leaf to be at work")
    served.admin.cancel(root)
    gates[run].wait_reached()
    served.admin.wait_for(root, "completed")
    assert [row["status"] for row in tree_rows(served.admin, root)] == [CANCELLED, "running"]
    gates[run].open()
    served.admin.wait_for(leaf, "completed")


def test_a_cleanup_call_that_a_second_cancel_fails_is_made_again(served: Stack) -> None:
    root = served.ingress.send("Laws", "cleanup_by_call", new_key("laws"))
    wait_until(lambda: _sleeps(served, root), what="the handler to be at work")
    served.admin.cancel(root)
    (first,) = wait_until(lambda: served.children(root, "LawsLedger/%"), what="the cleanup's call")
    wait_until(lambda: _sleeps(served, first), what="the cleanup's call to be at work")
    served.admin.cancel(root)
    served.admin.wait_for(root, "completed")
    # The second cancel was handed on to the call that began after the first.
    statuses = [row["status"] for row in tree_rows(served.admin, root)]
    assert statuses == [CANCELLED, CANCELLED, "completed · success"]


def test_new_state_waits_for_the_key(served: Stack) -> None:
    admin, key = served.admin, new_key("laws")
    holder = served.ingress.send("LawsLedger", "break_down", key=key)
    before = admin.wait_for(holder, "backing-off")["retry_count"]
    admin.post("/services/LawsLedger/state", {"object_key": key, "new_state": {"mended": "1"}})
    wait_until(
        lambda: admin.wait_for(holder, "backing-off")["retry_count"] > before,
        what="another attempt, with the key still held",
    )
    assert not state_rows(admin, "LawsLedger", key)
    admin.kill(holder)
    wait_until(lambda: state_rows(admin, "LawsLedger", key), what="the new state")
