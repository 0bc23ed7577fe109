"""How a cancel reaches the code: durably, eagerly, and as an error at an await."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from restate import Context, Service, TerminalError

from tests.claims.conftest import Observed
from tests.claims.lab import (
    BACKING_OFF,
    CANCELLED,
    HOUR,
    KILLED,
    Lab,
    Notes,
    happens,
    nothing,
    retries,
)
from tests.gate import Gate
from workbench import serve_here, wait_until


def cancelled_elsewhere(lab: Lab, then: Callable[[Context, Notes], Awaitable[Any]]) -> Notes:
    """What a handler notes that is busy elsewhere when its cancel comes, and awaits `then`."""
    notes, gate, service = Notes(), Gate(), Service("ClaimElsewhere")

    @service.handler()
    async def work(ctx: Context) -> None:
        await ctx.run_typed("first step", nothing)
        try:
            await gate.passed()
            notes.append("goes on")
            await then(ctx, notes)
        except TerminalError as error:
            notes.append(f"TerminalError {error.status_code} {error.message}")
            raise
        except BaseException as error:
            notes.append(type(error).__name__)
            raise

    with lab.serving(service):
        id = lab.ingress.send("ClaimElsewhere", "work")
        gate.wait_reached()
        lab.admin.cancel(id)
        wait_until(lambda: lab.cancels(id), what="the signal to be in the journal")
        gate.open()
        lab.wait(id, "completed")
    return notes


@pytest.mark.claims(
    "cancel-surfaces-at-next-await",
    "terminal-error-at-next-await",
    "cancel-is-terminal-error",
    "cancel-surfaces-at-next-run",
)
def test_next_await(lab: Lab, observed: Observed) -> None:
    notes = cancelled_elsewhere(lab, lambda ctx, notes: ctx.sleep(HOUR))
    at_next = notes[0] == "goes on" and len(notes) == 2
    terminal = notes[-1].startswith("TerminalError")
    words = f"busy elsewhere, the handler {notes[0]}; its next await raises {notes[-1]}"
    observed("cancel-surfaces-at-next-await", at_next, words)
    observed("terminal-error-at-next-await", at_next and terminal, words)
    observed("cancel-is-terminal-error", terminal, f"a {notes[-1]}")
    begins = "its step begins all the same"
    notes = cancelled_elsewhere(lab, lambda ctx, notes: ctx.run_typed("step", notes.add(begins)))
    raised = [note for note in notes if note not in ("goes on", begins)]
    words = f"ctx.run_typed raises {', '.join(raised) or 'nothing'}"
    words += f"; {begins}" * (begins in notes)
    observed("cancel-surfaces-at-next-run", raised[:1] == ["TerminalError 409 cancelled"], words)


@pytest.mark.claims("await-points-wait-for-results", "cancelled-error-in-the-task")
def test_await_points(lab: Lab, observed: Observed) -> None:
    service, raised, notes, gate = Service("ClaimAwaitPoints"), {}, Notes(), Gate()
    points: dict[str, Any] = {
        "ctx.run_typed": lambda ctx: ctx.run_typed("step", gate.passed),
        "a call's response": lambda ctx: ctx.service_call(rest, None),
        "a sleep": lambda ctx: ctx.sleep(HOUR),
        "an awakeable's result": lambda ctx: ctx.awakeable(type_hint=str)[1],
    }

    @service.handler()
    async def rest(ctx: Context) -> None:
        await ctx.sleep(HOUR)

    @service.handler()
    async def work(ctx: Context, point: str) -> None:
        await ctx.run_typed("first step", nothing)
        notes.append(point)
        try:
            await points[point](ctx)
        except Exception as error:
            raised[point] = type(error).__name__
            raise

    with lab.serving(service):
        for point in points:
            id = lab.ingress.send("ClaimAwaitPoints", "work", point)
            notes.wait(point)
            lab.admin.cancel(id)
            lab.over_within(5.0, id)
        gate.open()
    without = [point for point in points if raised.get(point) != "TerminalError"]
    none = f"; not of {', '.join(without)}" if without else ""
    words = f"raised at the await of {', '.join(raised)}{none}"
    observed("await-points-wait-for-results", not without, words)
    error = raised.get("ctx.run_typed", "nothing")
    words = f"in Python, ctx.run_typed: {error}"
    observed("cancelled-error-in-the-task", error == "CancelledError", words)


@pytest.mark.claims(
    "cancel-goes-to-the-runtime",
    "cancel-needs-reachable-deployment",
    "cancel-signal-is-durable",
    "ctx-cancel-is-durable",
    "kill-when-unreachable",
)
def test_deployment_away(tmp_path: Path, lab: Lab, observed: Observed) -> None:
    """The code of three invocations is away when one is killed, and two are cancelled: one of them
    by another handler. Then the server crashes, and comes back before their code does.
    """
    away = Service("ClaimAway", invocation_retry_policy=retries(100_000, seconds=0.03))
    canceller = Service("ClaimCanceller")

    @away.handler()
    async def work(ctx: Context) -> None:
        await ctx.sleep(HOUR)

    @canceller.handler()
    async def cancel(ctx: Context, id: str) -> None:
        ctx.cancel_invocation(id)

    with Lab.started(tmp_path, lab.version) as own, own.serving(canceller), own.serving(away) as at:
        ids = [own.ingress.send("ClaimAway", "work") for _ in range(3)]
        for id in ids:
            wait_until(lambda id=id: len(own.entries(id)) > 1, what="the handler to be at work")
        at.stop()
        for id in ids:
            own.wait(id, *BACKING_OFF)
        *cancelled, killed = ids
        own.admin.kill(killed)
        own.over_within(5.0, killed)
        kill_ends = own.outcome(killed)
        own.admin.cancel(cancelled[0])
        by = own.ingress.send("ClaimCanceller", "cancel", cancelled[1])
        own.wait(by, "completed")
        sent = own.entries(by).count("Command: SendSignal")
        before = own.row(ids[0]).get("retry_count", 0)
        wait_until(
            lambda: own.over(ids[0]) or own.row(ids[0]).get("retry_count", 0) >= before + 3,
            what="three attempts more, or the end",
        )
        without = own.outcome(ids[0]) if own.over(ids[0]) else "not over"
        taken = own.cancels(ids[0])
        wait_until(lambda: all(map(own.cancels, cancelled)), what="the signals in the journals")
        own.crash()
        signals = [own.cancels(id) for id in cancelled]
        with serve_here(away, port=at.port):
            own.over_within(20.0, *cancelled)
        ends = [own.outcome(id) for id in cancelled]
    observed(
        "kill-when-unreachable",
        kill_ends == KILLED,
        f"killed with the deployment away: {kill_ends}",
    )
    words = f"the server takes it, deployment or not: {taken} signal in the journal"
    observed("cancel-goes-to-the-runtime", taken == 1, words)
    observed(
        "cancel-needs-reachable-deployment",
        (without, ends[0]) == ("not over", CANCELLED),
        f"{without} after three attempts with the deployment away; once it is back: {ends[0]}",
    )
    words = f"after a crash of the server: {signals[0]} signal in the journal; in the end {ends[0]}"
    observed("cancel-signal-is-durable", (signals[0], ends[0]) == (1, CANCELLED), words)
    observed(
        "ctx-cancel-is-durable",
        (sent, signals[1], ends[1]) == (1, 1, CANCELLED),
        f"{sent} SendSignal in the caller's journal; after a crash of the server {signals[1]} "
        f"Signal in the target's, and it ends {ends[1]}",
    )


@pytest.mark.claims("runtime-forwards-cancel-eagerly")
def test_eager(lab: Lab, observed: Observed) -> None:
    """A step is held, and its handler cancelled meanwhile."""

    def told(inactivity_seconds: float) -> str:
        notes, gate = Notes(), Gate()
        service = Service("ClaimStep", inactivity_timeout=timedelta(seconds=inactivity_seconds))

        @service.handler()
        async def work(ctx: Context) -> None:
            try:
                await ctx.run_typed("step", gate.passed)
            except TerminalError:
                notes.append("told")
                raise

        with lab.serving(service):
            id = lab.ingress.send("ClaimStep", "work")
            gate.wait_reached()
            began = time.monotonic()  # longer than the short timeout: Restate asks to suspend
            wait_until(lambda: time.monotonic() > began + 0.4, what="the step to be long")
            lab.admin.cancel(id)
            early = happens(lambda: "told" in notes, 1.0)
            gate.open()
            lab.wait(id, "completed")
        return "in the middle of it" if early else "when it is over"

    patient, asked = told(30.0), told(0.05)
    observed(
        "runtime-forwards-cancel-eagerly",
        patient == asked == "in the middle of it",
        f"a handler in a long step is told {patient}; one that was asked to suspend meanwhile "
        f"(inactivity_timeout), {asked}",
    )
