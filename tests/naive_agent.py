"""`python -m tests.naive_agent`: the pattern of the guide "Interrupt and regenerate", with as
little code as keeps the agent's wire contract, twice.

`PlainAgent` has it right. `NaiveAgent` takes the guide's words as they stand: an interrupted task
notifies its session, which then forgets "any running task". Its report comes late, when another
turn is at work; see lesson 02.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import hypercorn.asyncio
import restate
from hypercorn.config import Config
from restate import (
    Context,
    ObjectContext,
    ObjectSharedContext,
    Service,
    TerminalError,
    VirtualObject,
)
from restate.server import install_shutdown_hook

from agent.contracts import ChatMessage
from agent.provider import Reply, ask
from agent.settings import settings

_UNLIMITED = 2_147_483_647  # one connection carries all invocations; the agent has the same


def services(name: str, *, naive: bool) -> list[VirtualObject | Service]:
    """A session and its tasks. Of its state, `open` is the number of the turn at work."""
    session, task = VirtualObject(f"{name}Agent"), Service(f"{name}Task")

    async def close(ctx: ObjectContext, turn: int, status: str, answer: str | None = None) -> str:
        kept = await ctx.get(f"turn:{turn}", type_hint=dict)
        ctx.set(f"turn:{turn}", {**(kept or {}), "status": status, "answer": answer})
        ctx.clear("open")
        return str((kept or {})["task_id"])

    async def interrupt(ctx: ObjectContext) -> str | None:
        turn = await ctx.get("open", type_hint=int)
        kept = await ctx.get(f"turn:{turn}", type_hint=dict) if turn else None
        if not turn or not kept:
            return None
        ctx.cancel_invocation(kept["task_id"])
        try:
            answer = await ctx.attach_invocation(kept["task_id"], type_hint=str)
        except TerminalError:
            return await close(ctx, turn, "interrupted")
        await close(ctx, turn, "completed", answer)
        return None

    @session.handler()
    async def message(ctx: ObjectContext, request: dict[str, str]) -> dict[str, Any]:
        interrupted = await interrupt(ctx)
        turn = (await ctx.get("newest", type_hint=int) or 0) + 1
        work = {"session": ctx.key(), "turn": turn, "content": request["content"]}
        task_id = await ctx.service_send(run_task, work).invocation_id()
        begun = {"turn": turn, "content": request["content"], "task_id": task_id, "plan": None}
        ctx.set(f"turn:{turn}", {**begun, "status": "running", "answer": None, "error": None})
        ctx.set("newest", turn)
        ctx.set("open", turn)
        return {"turn": turn, "task_id": task_id, "interrupted": interrupted}

    @session.handler()
    async def stop(ctx: ObjectContext) -> dict[str, str | None]:
        return {"interrupted": await interrupt(ctx)}

    @session.handler()
    async def report(ctx: ObjectContext, said: dict[str, Any]) -> None:
        at_work = await ctx.get("open", type_hint=int)
        if at_work and (naive or at_work == said["turn"]):  # naive: nobody asks whose report it is
            await close(ctx, at_work, said["status"], said["answer"])

    async def turns(ctx: ObjectSharedContext) -> list[dict[str, Any]]:
        newest = await ctx.get("newest", type_hint=int) or 0
        kept = [await ctx.get(f"turn:{n}", type_hint=dict) for n in range(1, newest + 1)]
        return [turn for turn in kept if turn]

    @session.handler(kind="shared")
    async def get_turns(ctx: ObjectSharedContext) -> list[dict[str, Any]]:
        return await turns(ctx)

    @session.handler(kind="shared")
    async def get_history(ctx: ObjectSharedContext) -> list[dict[str, Any]]:
        said = [
            {"turn": turn["turn"], "role": role, "content": content}
            for turn in await turns(ctx)
            for role, content in (("user", turn["content"]), ("assistant", turn["answer"]))
        ]
        return [{**each, "content": each["content"] or "[Interrupted.]"} for each in said]

    @session.handler(kind="shared")
    async def get_status(ctx: ObjectSharedContext) -> dict[str, Any]:
        newest = await ctx.get("newest", type_hint=int)
        at_work = await ctx.get("open", type_hint=int)
        kept = await ctx.get(f"turn:{at_work}", type_hint=dict) if at_work else None
        status = "working" if at_work else "idle"
        return {"turn": newest or 0, "status": status, "task_id": (kept or {}).get("task_id")}

    @task.handler()
    async def run_task(ctx: Context, work: dict[str, Any]) -> str:
        calls: list[asyncio.Task[None]] = []

        async def call() -> str:
            label, reply = f"{work['session']}/{work['turn']}/plan", Reply()
            prompt = [
                ChatMessage(role="system", content="You plan a small Python program."),
                ChatMessage(role="user", content=work["content"]),
            ]
            calls.append(asyncio.create_task(ask(prompt, reply, label=label)))
            await asyncio.wait(calls[-1:])
            return reply.text

        said = {"turn": work["turn"], "status": "completed", "answer": None}
        try:
            said["answer"] = await ctx.run_typed("ask the model", call)
        except TerminalError:
            for each in calls:
                each.cancel()
            if naive:  # else whoever has interrupted it knows
                ctx.object_send(report, key=work["session"], arg={**said, "status": "interrupted"})
            raise
        ctx.object_send(report, key=work["session"], arg=said)
        return str(said["answer"])

    return [session, task]


async def _serve() -> None:
    config = Config()
    config.bind = [settings().bind]
    config.loglevel = "ERROR"
    config.h2_max_concurrent_streams = config.keep_alive_max_requests = _UNLIMITED
    config.keep_alive_timeout = _UNLIMITED
    both = [*services("Plain", naive=False), *services("Naive", naive=True)]
    # There is nothing to wait for; SIGTERM is the SDK's unless it is shared.
    install_shutdown_hook(asyncio.get_running_loop(), lambda: os._exit(0), signal.SIGTERM)
    app: Any = restate.app(both, protocol="bidi")
    await hypercorn.asyncio.serve(app, config, shutdown_trigger=asyncio.Event().wait)


if __name__ == "__main__":
    asyncio.run(_serve())
