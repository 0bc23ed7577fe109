"""What lesson 03 says of a tree that is cancelled, on services that stop where a test wants them
to.

A `Gate` holds a step until its test opens it, so that no order depends on how long a step takes.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from restate import (
    Context,
    ObjectContext,
    RestateDurableCallFuture,
    RestateDurableFuture,
    Service,
    TerminalError,
    VirtualObject,
)

from agent.durable import leave_or_result, stay_for_result, stay_until_over
from tests.gate import Gate
from tests.stack import Stack
from workbench import (
    cleanup_rows,
    journal_rows,
    new_key,
    serve_here,
    timeline_rows,
    tree_rows,
    wait_until,
)

CANCELLED = "completed · failure · [409] cancelled"
LONG = timedelta(seconds=30)

NAMES = ("build", "a", "a1", "a2", "b", "b1", "b2")
WHOLE_CLEANUP = {f"{what} {name}": True for what in ("undo", "report") for name in NAMES}

Work = RestateDurableFuture[None]


gates: dict[tuple[str, str], Gate] = {}


def hold(run: str, place: str) -> Gate:
    """A gate at a place (`undo a1`, `elsewhere`) of one run."""
    return gates.setdefault((run, place), Gate())


async def pass_gate(run: str, place: str) -> None:
    gate = gates.get((run, place))
    if gate:
        await gate.passed()


# The tree: a build, two teams, four workers.


class Node(BaseModel):
    run: str
    who: str

    @property
    def below(self) -> list["Node"]:
        names = {"build": ("a", "b"), "a": ("a1", "a2"), "b": ("b1", "b2")}.get(self.who, ())
        return [Node(run=self.run, who=who) for who in names]


def work(ctx: Context, calls: list[RestateDurableCallFuture[None]]) -> list[Work]:
    """What a node waits for: its calls, or, at the bottom, a sleep."""
    return [*calls] or [ctx.sleep(LONG)]


def step(ctx: Context, node: Node, what: str) -> RestateDurableFuture[str]:
    """A step of a node's cleanup: `undo`, which may be held, and then `report`."""
    name = f"{what} {node.who}"

    async def action() -> str:
        await pass_gate(node.run, name)
        return name

    return ctx.run_typed(name, action)


tree = Service("PropagationTree")


@tree.handler()
async def plain(ctx: Context, node: Node) -> None:
    calls = [ctx.service_call(plain, child) for child in node.below]
    try:
        for future in work(ctx, calls):
            await future
    except TerminalError:
        await step(ctx, node, "undo")
        await step(ctx, node, "report")
        raise


@tree.handler()
async def leaves_first(ctx: Context, node: Node) -> None:
    calls = [ctx.service_call(leaves_first, child) for child in node.below]
    try:
        for future in work(ctx, calls):
            await leave_or_result(future)
    except TerminalError:
        for call in calls:
            await stay_until_over(call)
        await stay_for_result(step(ctx, node, "undo"))
        await stay_for_result(step(ctx, node, "report"))
        raise


@tree.handler()
async def bare_await(ctx: Context, node: Node) -> None:
    """As `leaves_first`, but for the work, which awaits the calls as they are."""
    calls = [ctx.service_call(leaves_first, child) for child in node.below]
    try:
        for future in calls:
            await future
    except TerminalError:
        for call in calls:
            await stay_until_over(call)
        await stay_for_result(step(ctx, node, "undo"))
        await stay_for_result(step(ctx, node, "report"))
        raise


# A cleanup that is a call: its first callee never ends by itself.

ledger = VirtualObject("PropagationLedger")


@ledger.handler()
async def strike_out(ctx: ObjectContext) -> int:
    times = (await ctx.get("times", type_hint=int) or 0) + 1
    ctx.set("times", times)
    if times == 1:
        await ctx.sleep(LONG)
    return times


steps = Service("PropagationSteps")


@steps.handler()
async def cleanup_by_call(ctx: Context, run: str) -> None:
    try:
        await leave_or_result(ctx.sleep(LONG))
    except TerminalError:
        while True:
            call = ctx.object_call(strike_out, key=run, arg=None)
            if not await stay_until_over(call):  # else it was told of that cancellation, too
                break
        raise


# A step whose cancel comes before it.

effects: list[tuple[str, str]] = []


def effect(ctx: Context, run: str, what: str) -> RestateDurableFuture[None]:
    async def action() -> None:
        effects.append((run, what))

    return ctx.run_typed(what, action)


@steps.handler()
async def plain_step(ctx: Context, run: str) -> None:
    await pass_gate(run, "elsewhere")
    try:
        await effect(ctx, run, "step")
    except TerminalError:
        await effect(ctx, run, "undo step")
        raise


@steps.handler()
async def careful_step(ctx: Context, run: str) -> None:
    await pass_gate(run, "elsewhere")
    try:
        await ctx.sleep(timedelta(0))  # a cancellation point
        await leave_or_result(effect(ctx, run, "step"))
    except TerminalError:
        await stay_for_result(effect(ctx, run, "undo step"))
        raise


# Calls that are sent, and calls whose failure is handled.


@steps.handler()
async def sent(ctx: Context, run: str) -> str:
    await pass_gate(run, "sent")
    await ctx.sleep(timedelta(milliseconds=1))  # a cancel would surface here
    return run


@steps.handler()
async def sender(ctx: Context, run: str) -> None:
    ctx.service_send(sent, run)
    ctx.service_send(sent, run, send_delay=timedelta(seconds=1))
    await ctx.service_call(leaves_first, Node(run=run, who="a1"))


@steps.handler()
async def with_replacement(ctx: Context, run: str) -> str:
    call = ctx.service_call(leaves_first, Node(run=run, who="a1"))
    try:
        await leave_or_result(call)
    except TerminalError as error:
        if error.status_code == 409:  # its own
            await stay_until_over(call)
            raise
        return f"replaced: {error.status_code} {error.message}"
    return "done"


@pytest.fixture(scope="module")
def served(stack: Stack) -> Iterator[Stack]:
    """The stack, with the services of this file."""
    with serve_here(tree, ledger, steps) as here:
        deployment = stack.admin.register(here.uri)["id"]
        yield stack
        stack.admin.delete(f"/deployments/{deployment}", force=True)


@pytest.fixture
def run() -> str:
    return new_key("propagation")


def begin(stack: Stack, handler: str, run: str) -> str:
    """Send a build; its whole tree is at work when its id is returned."""
    root = stack.ingress.send("PropagationTree", handler, {"run": run, "who": "build"})
    wait_until(
        lambda: [row["status"] for row in tree_rows(stack.admin, root)] == ["running"] * 7,
        what="seven invocations to be running",
    )
    return root


def nodes(stack: Stack, root: str) -> dict[str, dict[str, Any]]:
    """The rows of `timeline_rows`, by the node's name."""
    return dict(zip(NAMES, timeline_rows(stack.admin, root), strict=True))


def undo_began(stack: Stack, root: str) -> dict[str, int]:
    """When each node began its undo, in ms, by the node's name."""
    return {
        row["did"].removeprefix("Run undo "): row["ms"]
        for row in cleanup_rows(stack.admin, root)
        if row["did"].startswith("Run undo ")
    }


def cleanup(stack: Stack, root: str) -> dict[str, bool]:
    """The steps of a tree's cleanup that were begun, and whether each came to its end."""
    return {
        row["name"]: row["done"]
        for node in tree_rows(stack.admin, root)
        for row in journal_rows(stack.admin, node["id"])
        if row["entry"] == "Run"
    }


def wait_told(stack: Stack, id: str, *, times: int = 1) -> None:
    """Wait until so many cancels are in the journal: a handler reads them before what comes
    later.
    """
    wait_until(
        lambda: sum(r["entry"] == "← Signal" for r in journal_rows(stack.admin, id)) == times,
        what=f"{times} cancels to be in the journal",
    )


def wait_over(stack: Stack, root: str) -> None:
    wait_until(
        lambda: all(row["status"] == CANCELLED for row in tree_rows(stack.admin, root)),
        what="the whole tree to be over",
    )


def assert_leaves_first(stack: Stack, root: str) -> None:
    over = {name: row["completed"] for name, row in nodes(stack, root).items()}
    began = undo_began(stack, root)
    for parent, children in {"build": "a b", "a": "a1 a2", "b": "b1 b2"}.items():
        assert max(over[child] for child in children.split()) <= began[parent], parent


def test_plain_code_is_told_and_compensates_from_the_top(served: Stack, run: str) -> None:
    held = [hold(run, f"undo {worker}") for worker in ("a1", "a2", "b1", "b2")]
    root = begin(served, "plain", run)
    served.admin.cancel(root)
    for gate in held:
        gate.wait_reached()
    # The workers are in their undo, and everybody above them has done with it.
    served.admin.wait_for(root, "completed")
    for name in ("a", "b"):
        served.admin.wait_for(nodes(served, root)[name]["id"], "completed")
    assert [row["status"] for row in nodes(served, root).values()].count("running") == 4
    for gate in held:
        gate.open()
    wait_over(served, root)

    told = {name: row["cancels"] for name, row in nodes(served, root).items()}
    assert all(len(cancels) == 1 for cancels in told.values())
    assert told["build"] <= told["a"] <= min(told["a1"], told["a2"])
    assert told["build"] <= told["b"] <= min(told["b1"], told["b2"])


def test_settling_the_calls_first_gives_leaves_first(served: Stack, run: str) -> None:
    gate = hold(run, "undo a1")
    root = begin(served, "leaves_first", run)
    served.admin.cancel(root)
    gate.wait_reached()
    served.admin.wait_for(nodes(served, root)["b"]["id"], "completed")
    # One leaf is held, and with it its team and the build.
    assert undo_began(served, root).keys() == {"a1", "a2", "b", "b1", "b2"}
    gate.open()
    wait_over(served, root)
    assert_leaves_first(served, root)
    assert cleanup(served, root) == WHOLE_CLEANUP


def test_a_bare_await_that_was_cancelled_cannot_be_settled(served: Stack, run: str) -> None:
    gate = hold(run, "undo a1")
    root = begin(served, "bare_await", run)
    served.admin.cancel(root)
    gate.wait_reached()
    served.admin.wait_for(root, "completed")
    assert nodes(served, root)["a"]["status"] == "running"
    gate.open()
    wait_over(served, root)


def test_a_second_cancel_cuts_a_plain_cleanup_short(served: Stack, run: str) -> None:
    gate = hold(run, "undo build")
    root = begin(served, "plain", run)
    served.admin.cancel(root)
    gate.wait_reached()
    served.admin.cancel(root)
    served.admin.wait_for(root, "completed")
    gate.open()
    wait_over(served, root)
    # The undo was cut short, and the report not even begun.
    expected = WHOLE_CLEANUP | {"undo build": False}
    del expected["report build"]
    assert cleanup(served, root) == expected


def test_more_cancels_do_not_cut_ours(served: Stack, run: str) -> None:
    leaf, own = hold(run, "undo a1"), hold(run, "undo build")
    root = begin(served, "leaves_first", run)
    served.admin.cancel(root)
    leaf.wait_reached()
    served.admin.cancel(root)  # while it waits for its teams
    wait_told(served, root, times=2)
    leaf.open()
    own.wait_reached()
    served.admin.cancel(root)  # while it compensates
    wait_told(served, root, times=3)
    own.open()
    wait_over(served, root)
    told = {name: len(row["cancels"]) for name, row in nodes(served, root).items()}
    assert told == dict.fromkeys(told, 1) | {"build": 3}  # a call in flight is told once
    assert cleanup(served, root) == WHOLE_CLEANUP
    assert_leaves_first(served, root)


def test_a_cleanup_call_that_a_second_cancel_fails_is_made_again(served: Stack, run: str) -> None:
    root = served.ingress.send("PropagationSteps", "cleanup_by_call", run)
    wait_until(lambda: sleeps(served, root), what="the handler to be at work")
    served.admin.cancel(root)
    (first,) = wait_until(
        lambda: served.children(root, "PropagationLedger/%"), what="the cleanup's call"
    )
    wait_until(lambda: sleeps(served, first), what="the cleanup's call to be at work")
    served.admin.cancel(root)
    served.admin.wait_for(root, "completed")
    # The second cancel was handed on to the call that began after the first.
    assert [row["status"] for row in tree_rows(served.admin, root)] == [
        CANCELLED,
        CANCELLED,
        "completed · success",
    ]


def sleeps(stack: Stack, id: str) -> bool:
    return any(row["entry"] == "Sleep" for row in journal_rows(stack.admin, id))


def cancel_before_the_step(stack: Stack, handler: str, run: str) -> list[str]:
    """What a handler did that was held elsewhere while its cancel came."""
    gate = hold(run, "elsewhere")
    root = stack.ingress.send("PropagationSteps", handler, run)
    gate.wait_reached()
    stack.admin.cancel(root)
    wait_told(stack, root)
    gate.open()
    assert stack.admin.wait_for(root, "completed")["completion_failure"] == "[409] cancelled"
    journaled = [r["name"] for r in journal_rows(stack.admin, root) if r["entry"] == "Run"]
    done = [what for of, what in effects if of == run]
    assert done == journaled
    return done


def test_a_step_after_its_cancel_runs_in_plain_code(served: Stack, run: str) -> None:
    assert cancel_before_the_step(served, "plain_step", run) == ["step", "undo step"]


def test_a_step_after_a_cancellation_point_does_not(served: Stack, run: str) -> None:
    assert cancel_before_the_step(served, "careful_step", run) == ["undo step"]


def test_one_way_and_delayed_calls_go_on(served: Stack, run: str) -> None:
    gate = hold(run, "sent")
    root = served.ingress.send("PropagationSteps", "sender", run)
    gate.wait_reached()
    wait_until(
        lambda: served.children(root, "PropagationTree/leaves_first"), what="the call to be made"
    )
    served.admin.cancel(root)
    served.admin.wait_for(root, "completed")
    gate.open()

    ids = {row["how"]: row["id"] for row in tree_rows(served.admin, root)}
    for how in ("one-way", "delayed", "call"):
        served.admin.wait_for(ids[how], "completed")
    rows = {row["how"]: row for row in timeline_rows(served.admin, root)}
    assert rows["root"]["status"] == rows["call"]["status"] == CANCELLED
    for how in ("one-way", "delayed"):
        assert rows[how]["status"] == "completed · success"
        assert not rows[how]["cancels"]
        assert rows["root"]["completed"] <= rows[how]["completed"]


@pytest.mark.parametrize("whose", ["child", "own"])
def test_a_childs_cancellation_is_told_from_its_own(served: Stack, run: str, whose: str) -> None:
    root = served.ingress.send("PropagationSteps", "with_replacement", run)
    (child,) = wait_until(
        lambda: served.children(root, "PropagationTree/leaves_first"), what="the call to be made"
    )
    wait_until(lambda: sleeps(served, child), what="the child to be at work")
    served.admin.cancel(child if whose == "child" else root)
    row = served.admin.wait_for(root, "completed")
    served.admin.wait_for(child, "completed")
    statuses = [row["status"] for row in tree_rows(served.admin, root)]
    if whose == "child":
        assert served.ingress.output(root) == "replaced: 500 A step was cancelled."
        assert statuses == ["completed · success", CANCELLED]
    else:
        assert row["completion_failure"] == "[409] cancelled"
        assert statuses == [CANCELLED, CANCELLED]
