"""Waiting, in a handler that may be cancelled at any of its awaits.

A cancellation reaches a handler as a `TerminalError` 409 at its next await. The failure of whatever
the handler awaits is a `TerminalError` too, and a cancelled child fails with the same 409.
`restate.wait_completed` tells the two
apart: it raises for the handler's own cancellation only, and leaves what became of the future to be
asked afterwards.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import restate
from restate import Context, RestateDurableFuture, TerminalError

__all__ = [
    "Cancelled",
    "any_of",
    "cancellation_point",
    "ended",
    "ended_within",
    "is_cancellation",
    "is_kill",
    "result_of",
    "settled",
    "surely",
]

T = TypeVar("T")


class Cancelled(TerminalError):
    """This very invocation was cancelled, not one that it waits for."""

    def __init__(self, metadata: dict[str, str] | None = None) -> None:
        super().__init__("cancelled", status_code=409, metadata=metadata)


def is_cancellation(error: TerminalError) -> bool:
    """Whether an invocation that ended so was cancelled; "canceled" is one that never started."""
    return error.status_code == 409 and error.message in ("cancelled", "canceled")


def is_kill(error: TerminalError) -> bool:
    """Whether an invocation that ended so was killed."""
    return error.status_code == 409 and error.message == "killed"


async def any_of(*futures: RestateDurableFuture[Any]) -> list[RestateDurableFuture[Any]]:
    """Those of the futures that have a result or a failure, once there is one.

    Raises:
        Cancelled: this invocation was cancelled; the futures go on and can be waited for again.
    """
    try:
        over, _ = await restate.wait_completed(*futures)
    except TerminalError:
        raise Cancelled from None
    return over


async def result_of(future: RestateDurableFuture[T]) -> T:
    """The result of a future.

    Raises:
        Cancelled: this invocation was cancelled; the future goes on and can be waited for again.
        TerminalError: the future failed.
    """
    await any_of(future)
    return await future


async def ended_within(ctx: Context, limit: timedelta, future: RestateDurableFuture[Any]) -> bool:
    """Whether a future has a result or a failure after `limit` at most.

    Raises:
        Cancelled: this invocation was cancelled.
    """
    return future in await any_of(future, ctx.sleep(limit))


async def ended(future: RestateDurableFuture[T]) -> T:
    """Like `result_of`, but when cancelled it leaves only after the future has ended.

    Raises:
        Cancelled: this invocation was cancelled.
        TerminalError: the future failed.
    """
    if await settled(future):
        raise Cancelled
    return await future


async def settled(
    future: RestateDurableFuture[Any], *, hand_on: Callable[[], None] | None = None
) -> bool:
    """Wait until a future has a result or a failure, whatever happens; for use in cleanup.

    A second cancellation would cut the cleanup short, so it is absorbed: true is returned if there
    was one. The SDK passes only the first on to calls in flight; `hand_on` is called at each. The
    future must have been waited for with the functions of this file so far: a bare `await` that a
    cancellation has cut short counts as the future's end.
    """
    cancelled = False
    while True:
        try:
            await restate.wait_completed(future)
            return cancelled
        except TerminalError:
            cancelled = True
            if hand_on:
                hand_on()


async def surely(call: Callable[[], RestateDurableFuture[T]]) -> T:
    """The result of an idempotent call, made again whenever it is cancelled or killed; for cleanup.

    A second cancellation of this invocation is handed on to the call in flight, which then fails
    with 409.
    """
    while True:
        future = call()
        await settled(future)
        try:
            return await future
        except TerminalError as error:
            if not is_cancellation(error) and not is_kill(error):
                raise


async def cancellation_point(ctx: Context) -> None:
    """Let a cancellation that has already arrived surface here, ahead of the step that follows.

    `ctx.run` starts its action before it looks for a cancellation. A sleep is a round trip to the
    server, which hands out what came before in order; after it, an earlier cancellation is known.

    Raises:
        Cancelled: this invocation was cancelled.
    """
    await result_of(ctx.sleep(timedelta(0)))
