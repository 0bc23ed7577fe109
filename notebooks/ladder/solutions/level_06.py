"""Level 6: the files of a turn are put down together, or not at all."""

import asyncio
import json
import os
from collections.abc import Callable
from datetime import timedelta

import hypercorn.asyncio
import restate
from hypercorn.config import Config
from openai import AsyncOpenAI
from restate import (
    Context,
    ObjectContext,
    ObjectSharedContext,
    RestateDurableFuture,
    Service,
    TerminalError,
    VirtualObject,
    wait_completed,
)

agent, task = VirtualObject("Agent"), Service("Task")
workspace = VirtualObject("Workspace")


@agent.handler()
async def message(ctx: ObjectContext, request: dict) -> dict:
    if current := await ctx.get("current", type_hint=dict):
        ctx.cancel_invocation(current["task_id"])
        ended = ctx.attach_invocation(current["task_id"], type_hint=str)
        await wait_completed(ended)
        try:
            answer = await ended  # cancelled too late: it is done
        except TerminalError:
            answer = None
        await close(ctx, {"turn": current["turn"], "answer": answer})
    number = (await ctx.get("newest", type_hint=int) or 0) + 1
    job = {"session": ctx.key(), "turn": number, "content": request["content"]}
    task_id = await ctx.service_send(work, job).invocation_id()
    turn = {"turn": number, "content": request["content"], "task_id": task_id}
    ctx.set("newest", number)
    ctx.set("current", turn)
    ctx.set(f"turn {number}", {**turn, "status": "running", "answer": None})
    return {"turn": number, "task_id": task_id}


@agent.handler()
async def finished(ctx: ObjectContext, report: dict) -> None:
    await close(ctx, report)


async def close(ctx: ObjectContext, report: dict) -> None:
    """Write the end of a turn down, once."""
    turn = await ctx.get(f"turn {report['turn']}", type_hint=dict)
    if turn["status"] != "running":
        return  # it comes late
    status = "completed" if report["answer"] else "interrupted"
    ctx.set(f"turn {turn['turn']}", {**turn, "status": status, "answer": report["answer"]})
    ctx.clear("current")


@agent.handler(kind="shared")
async def turns(ctx: ObjectSharedContext) -> list[dict]:
    newest = await ctx.get("newest", type_hint=int) or 0
    return [await ctx.get(f"turn {n}", type_hint=dict) for n in range(1, newest + 1)]


@agent.handler(kind="shared")
async def files(ctx: ObjectSharedContext) -> dict[str, str]:
    return await ctx.object_call(read, key=ctx.key(), arg=None)


@workspace.handler()
async def put(ctx: ObjectContext, new: dict[str, str]) -> None:
    ctx.set("files", {**(await ctx.get("files", type_hint=dict) or {}), **new})


@workspace.handler(kind="shared")
async def read(ctx: ObjectSharedContext) -> dict[str, str]:
    return await ctx.get("files", type_hint=dict) or {}


@task.handler()
async def work(ctx: Context, job: dict) -> str:
    report, content = {"turn": job["turn"], "answer": None}, job["content"]
    try:
        paths = json.loads(await step(ctx, "plan", f"plan {content}"))
        prompts = [f"write {path} {content}" for path in paths]
        texts = await all_of([ctx.service_call(write, prompt) for prompt in prompts])
        answer = await step(ctx, "review", f"review {content}")
        await ctx.sleep(timedelta(0))
    except TerminalError:
        await ctx.run_typed("sum up", ask, prompt=f"sum up {content}")
        ctx.object_send(finished, key=job["session"], arg=report)
        raise
    # The point of no return: a cancel comes too late from here on.
    new = dict(zip(paths, texts, strict=True))
    await done(lambda: ctx.object_call(put, key=job["session"], arg=new))
    ctx.object_send(finished, key=job["session"], arg={**report, "answer": answer})
    return answer


@task.handler()
async def write(ctx: Context, prompt: str) -> str:
    return await step(ctx, "write", prompt)


async def all_of(calls: list[RestateDurableFuture[str]]) -> list[str]:
    """The results of calls. Cancelled, it stays until all have ended: leaves first."""
    try:
        return [await call for call in calls]
    except TerminalError:
        for call in calls:
            await over(call)
        raise


async def done(call: Callable[[], RestateDurableFuture[None]]) -> None:
    """Call until it has worked: a cancel of ours is handed on to what we wait for."""
    while True:
        try:
            calling = call()
            await over(calling)
            return await calling
        except TerminalError:
            continue


async def over(future: RestateDurableFuture) -> None:
    """Wait until a call is over, also when cancelled meanwhile."""
    while True:
        try:
            await wait_completed(future)
            return
        except TerminalError:
            continue


async def step(ctx: Context, name: str, prompt: str) -> str:
    """A model call in the journal. Cancelled, it is over before anything else happens."""
    calls: list[asyncio.Task[str]] = []

    async def call() -> str:
        calls.append(asyncio.ensure_future(ask(prompt)))
        await asyncio.wait(calls)
        return "" if calls[0].cancelled() else calls[0].result()

    await ctx.sleep(timedelta(0))  # a cancel that has come by now surfaces here
    try:
        return await ctx.run_typed(name, call)
    except TerminalError:
        for each in calls:
            each.cancel()
            await asyncio.wait([each])
        raise


async def ask(prompt: str) -> str:
    async with AsyncOpenAI(max_retries=0) as client:  # Restate retries
        answer = await client.chat.completions.create(
            model="any", messages=[{"role": "user", "content": prompt}]
        )
    return answer.choices[0].message.content or ""


if __name__ == "__main__":
    config = Config.from_mapping(bind=[os.environ["AGENT_BIND"]])
    asyncio.run(hypercorn.asyncio.serve(restate.app([agent, task, workspace]), config))
