"""Services that do on demand what the tests of the admin client and the views look at.

Run as a child process: `python probe_service.py PORT`. They know nothing of the agent.
"""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import hypercorn.asyncio
import hypercorn.config
import restate
from restate import (
    Context,
    InvocationRetryPolicy,
    ObjectContext,
    Service,
    TerminalError,
    VirtualObject,
)

probe = Service(
    "Probe",
    invocation_retry_policy=InvocationRetryPolicy(
        initial_interval=timedelta(milliseconds=20),
        exponentiation_factor=1.0,
        max_attempts=2,
        on_max_attempts="pause",
    ),
)
box = VirtualObject("Box")


async def _greeting() -> dict[str, str]:
    return {"text": "Grüße 🎉"}


def _broken(flag: str) -> bool:
    return Path(flag).exists()


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
async def flaky(ctx: Context, flag: str) -> str:
    """Fails as long as the file `flag` exists."""

    async def _step() -> str:
        if _broken(flag):
            raise RuntimeError("the provider is down")
        return "mended"

    await ctx.run_typed("first", _greeting)
    return await ctx.run_typed("call the model", _step)


@probe.handler()
async def fail(ctx: Context) -> None:
    raise TerminalError("no such thing", status_code=422, metadata={"plan": "half"})


@box.handler()
async def put(ctx: ObjectContext, entries: dict[str, Any]) -> str:
    for key, value in entries.items():
        ctx.set(key, value)
    return ctx.key()


@box.handler()
async def hold(ctx: ObjectContext, seconds: float) -> None:
    await ctx.sleep(timedelta(seconds=seconds))


async def _serve(port: str) -> None:
    config = hypercorn.config.Config()
    config.bind = [f"127.0.0.1:{port}"]
    await hypercorn.asyncio.serve(
        restate.app([probe, box]), config, shutdown_trigger=asyncio.Event().wait
    )


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
