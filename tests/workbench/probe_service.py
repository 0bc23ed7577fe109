"""Services that do on demand what the tests of the admin client and the views look at.

They know nothing of the agent.
"""

from datetime import timedelta
from typing import Any

import restate
from restate import (
    Context,
    ObjectContext,
    Service,
    TerminalError,
    VirtualObject,
)

probe = Service("Probe")
box = VirtualObject("Box")


async def _greeting() -> dict[str, str]:
    return {"text": "Grüße 🎉"}


async def _nothing() -> None:
    pass


@probe.handler()
async def root(ctx: Context, seconds: float) -> str:
    """A tree of three levels, with a one-way and a delayed send."""
    await ctx.run_typed("plan", _greeting)
    calls = [ctx.service_call(middle, arg=seconds), ctx.service_call(leaf, arg=seconds)]
    ctx.service_send(note, arg="now")
    ctx.service_send(note, arg="later", send_delay=timedelta(hours=1))
    await restate.gather(*calls)
    return "done"


@probe.handler()
async def middle(ctx: Context, seconds: float) -> str:
    return await ctx.service_call(leaf, arg=seconds)


@probe.handler()
async def leaf(ctx: Context, seconds: float) -> str:
    try:
        await ctx.sleep(timedelta(seconds=seconds), name="nap")
    except TerminalError:
        await ctx.run_typed("compensate", _nothing)
        raise
    return "leaf"


@probe.handler()
async def note(ctx: Context, text: str) -> None:
    await ctx.run_typed("note it", _nothing)


@probe.handler()
async def fail(ctx: Context) -> None:
    raise TerminalError("no such thing", status_code=422, metadata={"plan": "half"})


@box.handler()
async def put(ctx: ObjectContext, entries: dict[str, Any]) -> str:
    for key, value in entries.items():
        ctx.set(key, value)
    return ctx.key()
