"""What the lessons say in prose, and neither a ✓ cell nor a claim's test proves."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from restate import Context, ObjectContext, Service, TerminalError, VirtualObject

from agent.durable import leave_or_result, stay_until_over
from tests.gate import Gate
from tests.stack import Session, Stack
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


def _state(session: Session) -> dict[str, Any]:
    rows = state_rows(session.stack.admin, "Workspace", session.key)
    return {row["key"]: json.loads(row["value"]) for row in rows}


def test_new_state_waits_for_the_key(own_stack: Stack) -> None:
    """The deployment is gone, and what holds the key backs off."""
    admin, session = own_stack.admin, own_stack.session()
    task = session.message()["task_id"]
    session.wait_streaming(1, "review")
    own_stack.agent.kill()
    admin.kill(task)
    holder = own_stack.ingress.send("Workspace", "rollback", {"turn": 1}, key=session.key)
    before = admin.wait_for(holder, "backing-off")["retry_count"]
    new_state = {"object_key": session.key, "new_state": {"mended": "1"}}
    admin.post("/services/Workspace/state", new_state)
    wait_until(
        lambda: admin.wait_for(holder, "backing-off")["retry_count"] > before,
        what="another attempt, with the key still held",
    )
    assert session.has_draft()
    admin.kill(holder)
    wait_until(lambda: _state(session) == {"mended": 1}, what="the new state")
