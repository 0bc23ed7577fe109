"""`python -m tests.benchmark.plain_agent PORT`: the least code that interrupts, twice.

`PlainAgent` cancels the task at work, waits for its end and starts the next one. `NaiveAgent` does
the same as the words of the guide "Interrupt and regenerate" have it: a task notifies its session,
which forgets "any running task" then. A late report clears the id of a later task; see lesson 02.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from functools import cache
from typing import Any

import hypercorn.asyncio
import openai
import restate
from hypercorn.config import Config
from restate import Context, ObjectContext, Service, TerminalError, VirtualObject
from restate.server import install_shutdown_hook

# As the agent asks in its first step.
_PLAN = """You plan a small Python program.
Answer with one JSON object and nothing else:
{"summary": "one or two sentences", "files": [{"path": "name.py", "purpose": "one sentence"}]}
Plan 1 to 8 files, tests included. Paths are relative to the workspace."""

_UNLIMITED = 2_147_483_647  # one connection carries all invocations; the agent has the same


def _services(name: str, *, reports: bool) -> list[VirtualObject | Service]:
    agent, task = VirtualObject(f"{name}Agent"), Service(f"{name}Task")

    @agent.handler()
    async def message(ctx: ObjectContext, request: dict[str, str]) -> dict[str, Any]:
        current = await ctx.get("current_task_id", type_hint=str)
        turn = (await ctx.get("turn", type_hint=int) or 0) + 1
        if current:
            ctx.cancel_invocation(current)
            with contextlib.suppress(TerminalError):
                await ctx.attach_invocation(current)
        work = {"session": ctx.key(), "turn": turn, "prompt": request["content"]}
        task_id = await ctx.service_send(run_task, work).invocation_id()
        ctx.set("turn", turn)
        ctx.set("current_task_id", task_id)
        return {"turn": turn, "task_id": task_id, "interrupted": current}

    @agent.handler()
    async def report(ctx: ObjectContext) -> None:
        ctx.clear("current_task_id")

    @task.handler()
    async def run_task(ctx: Context, work: dict[str, Any]) -> str:
        stop = asyncio.Event()

        async def ask() -> str:
            return await _answer(work, stop)

        try:
            return await ctx.run_typed("ask the model", ask)
        except TerminalError:
            stop.set()
            if reports:
                ctx.object_send(report, key=work["session"], arg=None)
            raise

    return [agent, task]


async def _answer(work: dict[str, Any], stop: asyncio.Event) -> str:
    text = ""
    async with await _client().chat.completions.create(
        model="scripted",
        messages=[
            {"role": "system", "content": _PLAN},
            {"role": "user", "content": work["prompt"]},
        ],
        stream=True,
        extra_headers={"X-Client-Request-Id": f"{work['session']}/{work['turn']}/plan"},
    ) as stream:
        async for chunk in stream:
            if stop.is_set():
                break
            text += "".join(choice.delta.content or "" for choice in chunk.choices)
    return text


@cache
def _client() -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        api_key="scripted",
        base_url=os.environ["OPENAI_BASE_URL"],
        max_retries=0,
        http_client=openai.DefaultAsyncHttpxClient(trust_env=False),
    )


async def _serve(port: int) -> None:
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.loglevel = "ERROR"
    config.h2_max_concurrent_streams = config.keep_alive_max_requests = _UNLIMITED
    config.keep_alive_timeout = _UNLIMITED
    services = [*_services("Plain", reports=False), *_services("Naive", reports=True)]
    # There is nothing to wait for; SIGTERM is the SDK's unless it is shared.
    install_shutdown_hook(asyncio.get_running_loop(), lambda: os._exit(0), signal.SIGTERM)
    app: Any = restate.app(services, protocol="bidi")
    await hypercorn.asyncio.serve(app, config, shutdown_trigger=asyncio.Event().wait)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
