"""`python -m tests.benchmark.naive_agent --port N`: the plain version of an agent that interrupts.

It follows the words of the guide "Interrupt and regenerate": the session keeps the id of "any
running task", `message` cancels that and waits for its end, and the task, when it is cancelled,
notifies the session. What is left open there is done the plainest way: any report clears the id,
and the model call is a durable step that nobody tells to stop. Lesson 02 looks at it closely.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
from functools import cache
from typing import Any

import httpx
import hypercorn.asyncio
import openai
import restate
from hypercorn.config import Config
from restate import Context, ObjectContext, Service, TerminalError, VirtualObject
from restate.server import install_shutdown_hook

naive_agent, naive_task = VirtualObject("NaiveAgent"), Service("NaiveTask")

# The model is asked for the same as by the agent's first step.
_PLAN = "You plan a small Python program.\nAnswer with one JSON object and nothing else."

_UNLIMITED = 2_147_483_647  # see agent/server.py


@naive_agent.handler()
async def message(ctx: ObjectContext, request: dict[str, str]) -> dict[str, Any]:
    current = await ctx.get("current_task_id", type_hint=str)
    if current:
        ctx.cancel_invocation(current)
        with contextlib.suppress(TerminalError):
            await ctx.attach_invocation(current)
    turn = (await ctx.get("turn", type_hint=int) or 0) + 1
    history = await ctx.get("history", type_hint=list[str]) or []
    task = {"session": ctx.key(), "turn": turn, "prompt": request["content"]}
    task_id = await ctx.service_send(run_task, task).invocation_id()
    ctx.set("turn", turn)
    ctx.set("history", [*history, request["content"]])
    ctx.set("current_task_id", task_id)
    return {"turn": turn, "task_id": task_id, "interrupted": current}


@naive_agent.handler()
async def report(ctx: ObjectContext, note: str) -> None:
    history = await ctx.get("history", type_hint=list[str]) or []
    ctx.set("history", [*history, note])
    ctx.clear("current_task_id")


@naive_task.handler()
async def run_task(ctx: Context, task: dict[str, Any]) -> str:
    async def ask() -> str:
        return await _answer_of_model(task)

    try:
        answer = await ctx.run_typed("ask the model", ask)
    except TerminalError:
        ctx.object_send(report, key=task["session"], arg=f"(interrupted: {task['prompt']})")
        raise
    ctx.object_send(report, key=task["session"], arg=answer)
    return answer


async def _answer_of_model(task: dict[str, Any]) -> str:
    async with await _client().chat.completions.create(
        model="scripted",
        messages=[
            {"role": "system", "content": _PLAN},
            {"role": "user", "content": task["prompt"]},
        ],
        stream=True,
        extra_headers={"X-Client-Request-Id": f"{task['session']}/{task['turn']}/plan"},
    ) as stream:
        return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])


@cache
def _client() -> openai.AsyncOpenAI:
    # Tasks that were not interrupted pile up: no limit, so that they do not wait for each other.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    return openai.AsyncOpenAI(
        api_key="scripted",
        base_url=os.environ["OPENAI_BASE_URL"],
        max_retries=0,
        timeout=openai.Timeout(60.0, connect=5.0),
        http_client=openai.DefaultAsyncHttpxClient(trust_env=False, limits=limits),
    )


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    config = Config()
    config.bind = [f"127.0.0.1:{parser.parse_args().port}"]
    config.loglevel = "ERROR"
    config.h2_max_concurrent_streams = _UNLIMITED
    config.keep_alive_max_requests = _UNLIMITED
    config.keep_alive_timeout = _UNLIMITED
    app = restate.app([naive_agent, naive_task], protocol="bidi")
    asyncio.run(_serve(app, config))


async def _serve(app: Any, config: Config) -> None:
    # As the agent does: there is nothing to wait for, and SIGTERM is the SDK's unless it is shared.
    install_shutdown_hook(asyncio.get_running_loop(), lambda: os._exit(0), signal.SIGTERM)
    await hypercorn.asyncio.serve(app, config, shutdown_trigger=asyncio.Event().wait)


if __name__ == "__main__":
    main()
