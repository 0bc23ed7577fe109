"""How a cancel goes through a tree of calls."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from restate import Context, Service, TerminalError

from tests.claims.diary import Diary
from tests.claims.lab import CANCELLED, Lab
from tests.claims.probe import Observation, holds_if, probe
from tests.gate import Gate
from workbench import new_key

LEVELS = ("root", "middle", "leaf")
HOUR = timedelta(hours=1)

tree = Service("ClaimTree")
diary = Diary()


async def compensated(ctx: Context, run: str, level: str, error: TerminalError) -> None:
    """What each level does when it is cancelled; those below the root take a while for it."""

    async def undo() -> None:
        if level != "root":
            await held(run, level).passed()

    diary.note(run, f"{level} told")
    await ctx.run_typed(f"undo {level}", undo)
    diary.note(run, f"{level} undone")
    raise error


@tree.handler()
async def root(ctx: Context, run: str) -> None:
    try:
        await ctx.service_call(middle, run)
    except TerminalError as error:
        await compensated(ctx, run, "root", error)


@tree.handler()
async def middle(ctx: Context, run: str) -> None:
    try:
        await ctx.service_call(leaf, run)
    except TerminalError as error:
        await compensated(ctx, run, "middle", error)


@tree.handler()
async def leaf(ctx: Context, run: str) -> None:
    diary.note(run, "at work")
    try:
        await ctx.sleep(HOUR)
    except TerminalError as error:
        await compensated(ctx, run, "leaf", error)


@tree.handler()
async def forgiving(ctx: Context, run: str) -> str:
    try:
        await ctx.service_call(leaf, run)
    except TerminalError as error:
        return f"took another one for [{error.status_code}] {error.message}"
    return "done"


@pytest.fixture(scope="module", autouse=True)
def served(lab: Lab) -> Iterator[None]:
    with lab.serving(tree):
        yield


def held(run: str, level: str) -> Gate:
    """What holds the undo of a level."""
    return diary.gate(f"{run} {level}")


def begin(lab: Lab, run: str) -> tuple[str, str, str]:
    """A tree at work; the ids of its levels."""
    top = lab.ingress.send("ClaimTree", "root", run)
    diary.wait(run, "at work")
    (below,) = lab.wait_children(top)
    (bottom,) = lab.wait_children(below)
    return top, below, bottom


def cancelled_tree(lab: Lab) -> tuple[list[str], dict[str, str]]:
    """What the levels of a cancelled tree noted, in order, and how each ended.

    The undo of a level is held until nothing else can happen before it: the level above is over, or
    waits for it.
    """
    run = new_key("tree")
    ids = begin(lab, run)
    lab.admin.cancel(ids[0])
    held(run, "leaf").wait_reached()
    for above, level in zip(ids, LEVELS[1:], strict=False):
        lab.over_within(above, 1.0)
        held(run, level).open()
    for id in ids:
        lab.wait(id, "completed")
    ends = dict(zip(LEVELS, map(lab.outcome, ids), strict=True))
    return diary.of(run)[1:], ends


def order(notes: list[str], what: str) -> list[str]:
    return [note.split()[0] for note in notes if note.endswith(what)] or ["nobody"]


@probe("cancel-propagates-through-nested")
def test_nested(lab: Lab) -> Observation:
    _, ends = cancelled_tree(lab)
    return holds_if(
        set(ends.values()) == {CANCELLED},
        "the root is cancelled; " + ", ".join(f"{who}: {how}" for who, how in ends.items()),
    )


@probe("cancel-propagates-recursively")
def test_recursively(lab: Lab) -> Observation:
    run = new_key("tree")
    ids = begin(lab, run)
    lab.admin.cancel(ids[0])
    held(run, "leaf").wait_reached()
    for level in LEVELS[1:]:
        held(run, level).open()
    for id in ids:
        lab.wait(id, "completed")
    signals = [lab.cancels(id) for id in ids]
    return holds_if(
        signals == [1, 1, 1],
        "cancel signals in the journals: "
        + ", ".join(f"{who} {count}" for who, count in zip(LEVELS, signals, strict=True)),
    )


@probe("cancel-reaches-leaves-first")
def test_leaves_first(lab: Lab) -> Observation:
    notes, _ = cancelled_tree(lab)
    told = order(notes, " told")
    return holds_if(told[0] == "leaf", f"told in the order {', '.join(told)}")


@probe("each-handler-gets-the-exception")
def test_each(lab: Lab) -> Observation:
    notes, _ = cancelled_tree(lab)
    told = order(notes, " told")
    return holds_if(
        sorted(told) == sorted(LEVELS), f"a TerminalError at the await of {', '.join(sorted(told))}"
    )


@probe("handlers-run-their-compensation")
def test_compensation(lab: Lab) -> Observation:
    notes, _ = cancelled_tree(lab)
    undone = order(notes, " undone")
    return holds_if(sorted(undone) == sorted(LEVELS), f"undone: {', '.join(sorted(undone))}")


@probe("cancel-flows-back-up")
def test_upward(lab: Lab) -> Observation:
    notes, _ = cancelled_tree(lab)
    undone = order(notes, " undone")
    return holds_if(
        undone == ["leaf", "middle", "root"],
        f"compensated in the order {', '.join(undone)}: plain code does not wait for its callees",
    )


@probe("upward-flow-can-be-handled")
def test_handled(lab: Lab) -> Observation:
    run = new_key("tree")
    parent = lab.ingress.send("ClaimTree", "forgiving", run)
    (child,) = lab.wait_children(parent)
    diary.wait(run, "at work")
    held(run, "leaf").open()
    lab.admin.cancel(child)
    lab.wait(parent, "completed")
    ends = lab.outcome(child), lab.outcome(parent)
    return holds_if(
        ends == (CANCELLED, "success"),
        f"the child is cancelled: {ends[0]}; its parent handles that: {ends[1]}",
    )
