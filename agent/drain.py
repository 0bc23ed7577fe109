"""What a process still finishes when it is asked to end (SIGTERM): the model calls under way.

They are paid for, and a step that breaks off is made again elsewhere. All else is in Restate, and
is left as in a crash. While a process drains it begins no call.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

# What a step returned has to reach Restate before the process ends.
_LAST_WORDS = 0.5

_under_way: set[object] = set()
_idle = asyncio.Event()
_draining = False


@asynccontextmanager
async def model_call() -> AsyncIterator[None]:
    """A call that a draining process finishes. In one that drains already it waits for the end."""
    if _draining:
        await asyncio.Event().wait()
    call = object()
    _under_way.add(call)
    _idle.clear()
    try:
        yield
    finally:
        _under_way.discard(call)
        if not _under_way:
            _idle.set()


async def drain(limit: float) -> None:
    """End this process when its model calls are over, after `limit` seconds at the latest."""
    global _draining
    _draining = True
    if _under_way and limit:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(_idle.wait(), limit)
            await asyncio.sleep(_LAST_WORDS)
    os._exit(0)
