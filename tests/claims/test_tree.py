"""How a cancel and a kill go through a tree of calls, and what they leave alone."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from restate import Context, ObjectContext, Service, TerminalError, VirtualObject

from tests.claims.conftest import Observed
from tests.claims.lab import CANCELLED, HOUR, KILLED, SOON, Lab, Notes
from tests.gate import Gate
from workbench import new_key, wait_until

LEVELS = ("root", "middle", "leaf")


class Tree:
    """Root calls middle, and middle calls leaf, which leaves something in the state of its object.

    The undo of middle and leaf is held by a gate each.
    """

    def __init__(self) -> None:
        self.notes, self.key = Notes(), new_key("tree")
        self.undo = {level: Gate() for level in LEVELS}
        self.undo["root"].open()
        self.service, self.ledger = Service("ClaimTree"), VirtualObject("ClaimLedger")

        async def compensating(
            ctx: Context | ObjectContext, level: str, work: Awaitable[None]
        ) -> None:
            try:
                await work
            except TerminalError:
                self.notes.append(f"{level} told")
                await ctx.run_typed(f"undo {level}", self.undo[level].passed)
                self.notes.append(f"{level} undone")
                raise

        @self.service.handler()
        async def root(ctx: Context) -> None:
            await compensating(ctx, "root", ctx.service_call(middle, None))

        @self.service.handler()
        async def middle(ctx: Context) -> None:
            await compensating(ctx, "middle", ctx.object_call(leaf, self.key, None))

        @self.ledger.handler()
        async def leaf(ctx: ObjectContext) -> None:
            ctx.set("booked", "half")
            self.notes.append("at work")
            await compensating(ctx, "leaf", ctx.sleep(HOUR))

        @self.service.handler()
        async def grandparent(ctx: Context) -> str:
            return await ctx.service_call(forgiving, None)

        @self.service.handler()
        async def forgiving(ctx: Context) -> str:
            try:
                await ctx.object_call(leaf, self.key, None)
            except TerminalError:
                return "took another one"
            return "done"

    def begin(self, lab: Lab, handler: str = "root") -> list[str]:
        """Start a tree; the ids of its levels, from the top."""
        ids = [lab.ingress.send("ClaimTree", handler)]
        self.notes.wait("at work")
        ids += lab.children(ids[0])
        ids += lab.children(ids[1])
        return ids

    def order(self, what: str) -> list[str]:
        """Who has noted this, in order."""
        return [n.split()[0] for n in self.notes if n.endswith(f" {what}")] or ["nobody"]


@pytest.mark.claims(
    "cancel-propagates-through-nested",
    "cancel-propagates-recursively",
    "cancel-reaches-leaves-first",
    "each-handler-gets-the-exception",
    "handlers-run-their-compensation",
    "cancel-flows-back-up",
)
def test_cancelled_tree(lab: Lab, observed: Observed) -> None:
    """Each undo is held until the level above is over, or waits for it."""
    tree = Tree()
    with lab.serving(tree.service, tree.ledger):
        ids = tree.begin(lab)
        lab.admin.cancel(ids[0])
        tree.undo["leaf"].wait_reached()
        for above, level in zip(ids, LEVELS[1:], strict=False):
            lab.over_within(1.0, above)
            tree.undo[level].open()
        for id in ids:
            lab.wait(id, "completed")
        ends = dict(zip(LEVELS, map(lab.outcome, ids), strict=True))
        signals = dict(zip(LEVELS, map(lab.cancels, ids), strict=True))
    told, undone = tree.order("told"), tree.order("undone")
    everybody = sorted(LEVELS)
    said = ", ".join(f"{who}: {how}" for who, how in ends.items())
    observed(
        "cancel-propagates-through-nested",
        set(ends.values()) == {CANCELLED},
        f"the root is cancelled; {said}",
    )
    said = ", ".join(f"{who} {count}" for who, count in signals.items())
    observed(
        "cancel-propagates-recursively",
        set(signals.values()) == {1},
        f"cancel signals in the journals: {said}",
    )
    words = f"told in the order {', '.join(told)}"
    observed("cancel-reaches-leaves-first", told[0] == "leaf", words)
    words = f"a TerminalError at the await of {', '.join(sorted(told))}"
    observed("each-handler-gets-the-exception", sorted(told) == everybody, words)
    words = f"undone: {', '.join(sorted(undone))}"
    observed("handlers-run-their-compensation", sorted(undone) == everybody, words)
    words = (
        f"compensated in the order {', '.join(undone)}: plain code does not wait for its callees"
    )
    observed("cancel-flows-back-up", undone == ["leaf", "middle", "root"], words)


@pytest.mark.claims("upward-flow-can-be-handled")
def test_handled(lab: Lab, observed: Observed) -> None:
    """The leaf of one tree is cancelled, and the root of another; the parent handles both."""
    ends = []
    for level in (2, 0):
        tree = Tree()
        tree.undo["leaf"].open()
        with lab.serving(tree.service, tree.ledger):
            ids = tree.begin(lab, "grandparent")
            lab.admin.cancel(ids[level])
            for id in ids:
                lab.wait(id, "completed")
            ends.append([lab.outcome(id) for id in ids])
    of_the_child, of_the_root = ends
    observed(
        "upward-flow-can-be-handled",
        of_the_child == ["success", "success", CANCELLED],
        f"the child is cancelled: {of_the_child[2]}; its parent handles that: {of_the_child[1]}, "
        f"and the parent's caller: {of_the_child[0]}; the root is cancelled: a parent that handles "
        f"it: {of_the_root[1]}, and the root all the same: {of_the_root[0]}",
    )


def sent_calls(lab: Lab, end: Callable[[str], None]) -> tuple[list[str], list[str], list[int]]:
    """What a one-way and a delayed call were, and became, when their sender was ended, and how
    many cancels they got.
    """
    gate, service = Gate(), Service("ClaimSender")

    @service.handler()
    async def sender(ctx: Context) -> None:
        ctx.service_send(errand, None)
        ctx.service_send(errand, None, send_delay=timedelta(seconds=1))
        await ctx.sleep(HOUR)

    @service.handler()
    async def errand(ctx: Context) -> str:
        await gate.passed()
        await ctx.sleep(timedelta(milliseconds=1))  # a cancel would surface here
        return "done"

    with lab.serving(service):
        top = lab.ingress.send("ClaimSender", "sender")
        ids = lab.children(top, count=2)
        if lab.row(ids[0])["status"] == "scheduled":
            ids.reverse()
        gate.wait_reached()
        before = [lab.wait(ids[0], "running"), lab.wait(ids[1], "scheduled")]
        end(top)
        lab.wait(top, "completed")
        lab.over_within(SOON, *ids)
        gate.open()
        lab.over_within(5.0, *ids)
        return before, [lab.outcome(id) for id in ids], [lab.cancels(id) for id in ids]


@pytest.mark.claims(
    "sends-are-detached",
    "one-way-calls-execute-fully",
    "delayed-calls-execute-fully",
    "kill-spares-one-way-calls",
    "kill-spares-delayed-calls",
)
def test_sent_calls(lab: Lab, observed: Observed) -> None:
    before, ends, cancels = sent_calls(lab, lab.admin.cancel)
    killed_before, killed_ends, _ = sent_calls(lab, lab.admin.kill)
    sent = ("one-way", "delayed")
    for how, claim in enumerate(("one-way-calls-execute-fully", "delayed-calls-execute-fully")):
        words = f"{before[how]} when its caller is cancelled; {ends[how]} in the end"
        observed(claim, ends[how] == "success", words)
    for how, claim in enumerate(("kill-spares-one-way-calls", "kill-spares-delayed-calls")):
        words = f"{killed_before[how]} when its caller is killed; {killed_ends[how]} in the end"
        observed(claim, killed_ends[how] == "success", words)
    signals = ", ".join(f"{how} {count}" for how, count in zip(sent, cancels, strict=True))
    taken = ", ".join(f"{how} {end}" for how, end in zip(sent, killed_ends, strict=True))
    observed(
        "sends-are-detached",
        not any(cancels) and killed_ends == ["success", "success"],
        f"their caller is cancelled: cancel signals in the journals: {signals}; it is killed: "
        f"{taken}",
    )


@pytest.mark.claims(
    "kill-stops-the-tree-at-once", "kill-runs-no-compensation", "kill-may-leave-inconsistent-state"
)
def test_killed_tree(lab: Lab, observed: Observed) -> None:
    tree = Tree()
    with lab.serving(tree.service, tree.ledger):
        ids = tree.begin(lab)
        wait_until(lambda: lab.state("ClaimLedger", tree.key), what="a state to be left behind")
        before = [lab.entries(id) for id in ids]
        began = time.monotonic()
        lab.admin.kill(ids[0])
        lab.over_within(5.0, *ids)
        at_once = time.monotonic() - began < SOON
        ends = [lab.outcome(id) for id in ids]
        steps = sum(lab.entries(id).count("Command: Run") for id in ids)
        more = sum(len(lab.entries(id)) for id in ids) > sum(map(len, before))
        state = lab.state("ClaimLedger", tree.key)
    ran = sum(note.endswith(" told") for note in tree.notes)
    observed(
        "kill-stops-the-tree-at-once",
        at_once and not more and set(ends) == {KILLED},
        f"the root is killed; {'within' if at_once else 'not within'} half a second root, call, "
        f"and the call's call: {', '.join(ends)}; {'more' if more else 'nothing more'} in their "
        "journals",
    )
    words = (
        f"of three compensations in `except TerminalError`, {ran} ran; steps of them in the "
        f"journals: {steps}"
    )
    observed("kill-runs-no-compensation", steps == ran == 0, words)
    left = ", ".join(f"{name} is {value}" for name, value in state.items()) or "nothing"
    observed("kill-may-leave-inconsistent-state", bool(state), f"left in the state: {left}")
