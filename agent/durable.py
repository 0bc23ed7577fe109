"""Waiting, in a handler that may be cancelled at any of its awaits.

A cancellation arrives as a `TerminalError` 409 at the next await. So does the failure of a child
that was cancelled, and the two must not be confused. Here 409 is kept for the handler's own:
`restate.wait_completed` raises for nothing else, and a child's failure is turned into 500.

| when this handler is cancelled | it |
|---|---|
| `leave_or_result(f)` | leaves at once |
| `stay_until_over(f, …)` | stays, and returns the cancellation |
| `stay_and_wake(ctx, f, id)` | stays, and wakes the cancelled invocation that it waits for |
| `stay_for_result(f)` | stays; with a result the cancellation came too late |
| `all_or_cancel(ctx, calls)` | hands it on, stays until all have ended, then leaves |
| `stop_when_cancelled(ctx, …)` | stops the step, and returns the cancellation |

One rule makes cleanup simple: whoever starts something leaves only after it has ended. So when an
error arrives, nothing below is at work any more: leaves first.
"""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from itertools import zip_longest
from typing import Any, TypeVar

import restate
from restate import (
    Context,
    ObjectContext,
    RestateDurableCallFuture,
    RestateDurableFuture,
    TerminalError,
)

from agent import admin
from agent.settings import settings

T = TypeVar("T")

# Restate asks a handler that waits for longer than this to suspend. A suspended one holds none of
# the server's slots, and hears a cancellation all the same. One in the middle of a step cannot
# suspend, and would be deaf from then on: `stop_when_cancelled` has a timer fire before that.
SUSPEND_AFTER = timedelta(seconds=4)
_PULSE = SUSPEND_AFTER / 2

# How long a cancelled invocation may take before it is woken; each time it is given twice as long.
_PATIENCE, _LONGEST_PATIENCE = timedelta(milliseconds=400), timedelta(seconds=5)

# Tasks: no work is lost where Restate gives up.
THEN_PAUSE = restate.InvocationRetryPolicy(
    initial_interval=timedelta(milliseconds=250),
    exponentiation_factor=2.0,
    max_interval=timedelta(seconds=10),
    max_attempts=settings().max_attempts,
    on_max_attempts="pause",
)

# Virtual objects: nothing but an absent agent can make them fail. A paused handler would hold the
# session's key for ever, so after two minutes it is over.
THEN_KILL = restate.InvocationRetryPolicy(
    initial_interval=timedelta(milliseconds=250),
    exponentiation_factor=2.0,
    max_interval=timedelta(seconds=5),
    max_attempts=28,
    on_max_attempts="kill",
)


async def leave_or_result(future: RestateDurableFuture[T]) -> T:
    """The result of a future.

    Raises:
        TerminalError: 409, this handler was cancelled; 500, the future has failed.
    """
    await restate.wait_completed(future)
    return await _result(future)


async def stay_until_over(
    *futures: RestateDurableFuture[Any], again: Callable[[], None] = lambda: None
) -> TerminalError | None:
    """Wait until one of the futures has ended. Returns the cancellation that came meanwhile;
    `again` is called at each, since the SDK hands on the first one only.
    """
    cancelled = None
    while True:
        try:
            await restate.wait_completed(*futures)
            return cancelled
        except TerminalError as error:
            cancelled = error
            again()


async def stay_for_result(future: RestateDurableFuture[T]) -> T:
    """The result of a future that is waited for to its end.

    Raises:
        TerminalError: 409, this handler was cancelled and the future has failed; 500, it has
            failed.
    """
    cancelled = await stay_until_over(future)
    try:
        return await _result(future)
    except TerminalError as error:
        raise (cancelled or error) from None


async def all_or_cancel(ctx: Context, calls: list[RestateDurableCallFuture[T]]) -> list[T]:
    """The results of calls. If one fails the others are cancelled.

    Raises:
        TerminalError: 409, this handler was cancelled; 500, a call has failed. All have ended.
    """
    ids: list[str] = []

    def cancel() -> None:
        for invocation_id in ids:
            ctx.cancel_invocation(invocation_id)

    try:
        for call in calls:
            ids.append(await call.invocation_id())
        waiting: list[RestateDurableFuture[Any]] = [*calls]
        while waiting:
            over, waiting = await restate.wait_completed(*waiting)
            for each in over:
                await _result(each)
    except TerminalError as error:
        if error.status_code != 409:
            cancel()
        for call, invocation_id in zip_longest(calls, ids):
            if invocation_id:
                await stay_and_wake(ctx, call, invocation_id, again=cancel)
            else:  # the SDK has handed the cancellation on
                await stay_until_over(call)
        raise
    return [await call for call in calls]


async def stay_and_wake(
    ctx: Context | ObjectContext,
    future: RestateDurableFuture[Any],
    invocation_id: str,
    *,
    again: Callable[[], None] = lambda: None,
    limit: timedelta = timedelta.max,
) -> bool:
    """`stay_until_over` for an invocation that was cancelled. One that is paused, or waits for its
    next attempt, would not be told before that, so it is woken. Returns whether it is over; waits
    for `limit` at most.
    """
    waited, patience = timedelta(0), min(_PATIENCE, limit)
    while True:
        await stay_until_over(future, ctx.sleep(patience), again=again)
        if is_over(future):
            return True
        waited += patience
        if waited >= limit:
            return False
        wake = partial(admin.wake, invocation_id)
        await stay_until_over(ctx.run_typed("wake", wake), again=again)
        # It may have been paused just when it was told.
        ctx.cancel_invocation(invocation_id)
        patience = min(patience * 2, _LONGEST_PATIENCE, limit - waited)


async def stop_when_cancelled(
    ctx: Context,
    name: str,
    action: Callable[[], Coroutine[Any, Any, T]],
    *,
    result: type[T],
    stopped: Callable[[], T],
) -> tuple[T, TerminalError | None]:
    """Run an action as a durable step, which is stopped as soon as this handler is cancelled; it
    does not begin if that has happened already. Returns the action's result, or `stopped()`, and
    the cancellation.

    A cancellation ends a handler's wait for `ctx.run`, and not the action, which would go on for as
    long as the cleanup takes.
    """
    stop = asyncio.Event()

    async def run() -> T:
        # The SDK starts an action before it reads a cancellation that has come already.
        await asyncio.sleep(0.001)
        if stop.is_set():
            return stopped()
        work, told = asyncio.create_task(action()), asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({work, told}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return await work
        finally:  # also when the SDK cancels this action because its attempt is over
            work.cancel()
            told.cancel()
            await asyncio.gather(work, told, return_exceptions=True)
        return stopped()

    future = ctx.run_typed(name, run, restate.RunOptions(type_hint=result))
    cancelled = None
    while not is_over(future):
        timer = ctx.sleep(_PULSE)  # keeps this handler awake, so that it hears
        cancelled = await stay_until_over(future, timer, again=stop.set) or cancelled
    return await _result(future), cancelled


def is_over(future: RestateDurableFuture[Any]) -> bool:
    """Whether a future has a result or a failure."""
    return bool(future.is_completed())  # type: ignore[attr-defined]


async def _result(future: RestateDurableFuture[T]) -> T:
    try:
        return await future
    except TerminalError as error:
        ended = error.message in ("cancelled", "canceled", "killed")
        message = f"A step was {error.message}." if ended else error.message
        raise TerminalError(message, metadata=error.metadata) from None
