"""What a handler can do when it is cancelled: clean up, roll back, release what it holds."""

from __future__ import annotations

import pytest
from restate import Context, ObjectContext, Service, TerminalError, VirtualObject

from tests.claims.conftest import Observed
from tests.claims.lab import HOUR, SOON, Lab, Notes, retries
from tests.gate import Gate
from workbench import new_key, serve_here, wait_until


class Cleaner:
    """A service whose cleanup is two durable steps; the second is held by a gate."""

    def __init__(self) -> None:
        self.notes, self.gate = Notes(), Gate()
        self.service = Service("ClaimCleaner", invocation_retry_policy=retries(1_000))

        async def second() -> None:
            self.notes.append("cleanup begins")
            await self.gate.passed()

        @self.service.handler()
        async def work(ctx: Context) -> None:
            self.notes.append("at work")
            try:
                await ctx.sleep(HOUR)
            except TerminalError:
                await ctx.run_typed("first cleanup", self.notes.add("first"))
                await ctx.run_typed("second cleanup", second)
                self.notes.append("cleanup is over")
                raise

    def cancelled(self, lab: Lab) -> str:
        """An invocation that was cancelled, in the middle of its cleanup if it comes to one."""
        id = lab.ingress.send("ClaimCleaner", "work")
        self.notes.wait("at work")
        lab.admin.cancel(id)
        wait_until(
            lambda: "cleanup begins" in self.notes or lab.over(id), what="the cleanup, or the end"
        )
        return id

    def finish(self, lab: Lab, id: str) -> list[str]:
        """Let the cleanup end; what the journal has after the signal comes back."""
        self.gate.open()
        lab.wait(id, "completed")
        entries = lab.entries(id)
        return entries[entries.index("Notification: Signal") + 1 :]


@pytest.mark.claims(
    "cancel-frees-held-resources",
    "cancel-cooperates-to-roll-back",
    "rollback-needs-compensation-logic",
)
def test_roll_back(lab: Lab, observed: Observed) -> None:
    """The holder of an object's key is cancelled, while another call waits for the key."""
    account = VirtualObject("ClaimAccount")

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

    left, queued = {}, []
    with lab.serving(account):
        for compensates in (True, False):
            key = new_key("account")
            holder = lab.ingress.send("ClaimAccount", "reserve", compensates, key=key)
            wait_until(lambda key=key: lab.state("ClaimAccount", key), what="the reservation")
            waiting = lab.ingress.send("ClaimAccount", "balance", key=key)
            before = lab.wait(waiting, "pending")
            lab.admin.cancel(holder)
            lab.wait(holder, "completed")
            lab.over_within(5.0, waiting)
            queued.append((before, lab.outcome(waiting)))
            state = lab.state("ClaimAccount", key)
            left[compensates] = ", ".join(f"{k} is {v}" for k, v in state.items()) or "nothing"
    before, after = queued[0]
    words = f"the next call of the object's key: {before} before the cancel, {after} after it"
    observed("cancel-frees-held-resources", after == "success", words)
    words = f"left in the state of a handler that compensates: {left[True]}"
    observed("cancel-cooperates-to-roll-back", left[True] == "nothing", words)
    words = f"left in the state of a handler that does not: {left[False]}"
    observed("rollback-needs-compensation-logic", left[False] != "nothing", words)


@pytest.mark.claims(
    "attach-blocks-until-cleanup",
    "attach-raises-terminal-error",
    "cancel-allows-proper-cleanup",
    "terminal-error-gives-chance-to-clean-up",
    "try-catch-runs-durable-cleanup",
    "cleanup-always-runs",
)
def test_cleanup(lab: Lab, observed: Observed) -> None:
    """A handler attaches to a cancelled invocation, whose code goes away in the middle of its
    cleanup, and comes back. Another one is cancelled a second time in its cleanup.
    """
    cleaner, waiter = Cleaner(), Service("ClaimWaiter")

    @waiter.handler()
    async def attach(ctx: Context, id: str) -> None:
        try:
            await ctx.attach_invocation(id)
            cleaner.notes.append("attach returns")
        except TerminalError as error:
            cleaner.notes.append(f"attach raises TerminalError {error.status_code} {error.message}")

    with lab.serving(waiter), lab.serving(cleaner.service) as deployment:
        id = cleaner.cancelled(lab)
        by = lab.ingress.send("ClaimWaiter", "attach", id)
        lab.wait(by, "running", "suspended", "completed")
        blocked = not lab.over_within(SOON, by)
        deployment.stop()
        with serve_here(cleaner.service, port=deployment.port):
            entries = cleaner.finish(lab, id)
            lab.wait(by, "completed")
        outcome = lab.outcome(id)
    *_, last, raised = cleaner.notes
    order = [last, raised.split(" raises")[0]]
    observed(
        "attach-blocks-until-cleanup",
        blocked and order == ["cleanup is over", "attach"],
        f"{'blocked' if blocked else 'not blocked'} during the cleanup; the order is: "
        f"{', '.join(order)}",
    )
    observed("attach-raises-terminal-error", raised.startswith("attach raises Terminal"), raised)
    noted = dict.fromkeys(note for note in cleaner.notes if note.startswith("cleanup"))
    words = f"{', '.join(noted) or 'its first step is cut'}; then the invocation ends"
    observed("cancel-allows-proper-cleanup", last == "cleanup is over", words)
    steps = ["Command: Run", "Notification: Run"]
    observed(
        "terminal-error-gives-chance-to-clean-up",
        entries == [*steps, *steps, "Command: Output"],
        f"in the journal after the signal: {', '.join(entries)}",
    )
    first, over = cleaner.notes.count("first"), "cleanup is over" in noted
    observed(
        "try-catch-runs-durable-cleanup",
        first == 1 and over and outcome == "[409] cancelled",
        f"the code crashes in the cleanup's second step: its first one ran {first} time, "
        f"{'it came to its end' if over else 'it did not come to its end'}, then {outcome}",
    )

    twice = Cleaner()
    with lab.serving(twice.service):
        id = twice.cancelled(lab)
        if not lab.over(id):
            lab.admin.cancel(id)
            lab.over_within(3.0, id)
        twice.finish(lab, id)
    observed(
        "cleanup-always-runs",
        last == twice.notes[-1] == "cleanup is over",
        f"after one cancel, {last}; a second one comes, and no more than: {twice.notes[-1]}",
    )
