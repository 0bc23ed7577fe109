"""Level 5: a cancelled step falls silent before the cleanup begins."""

import asyncio
import os
from datetime import timedelta

import hypercorn.asyncio
import restate
from hypercorn.config import Config
from openai import AsyncOpenAI
from restate import (
    Context,
    ObjectContext,
    ObjectSharedContext,
    Service,
    TerminalError,
    VirtualObject,
    wait_completed,
)

agent, task = VirtualObject("Agent"), Service("Task")


@agent.handler()
async def message(ctx: ObjectContext, request: dict) -> dict:
    if current := await ctx.get("current", type_hint=dict):
        ctx.cancel_invocation(current["task_id"])
        await wait_completed(ctx.attach_invocation(current["task_id"]))
        await close(ctx, {"turn": current["turn"], "answer": None})
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


@task.handler()
async def work(ctx: Context, job: dict) -> str:
    report = {"turn": job["turn"], "answer": None}
    try:
        for name in ("plan", "write", "review"):
            answer = await step(ctx, name, f"{name} {job['content']}")
    except TerminalError:
        await ctx.run_typed("sum up", ask, prompt=f"sum up {job['content']}")
        ctx.object_send(finished, key=job["session"], arg=report)
        raise
    ctx.object_send(finished, key=job["session"], arg={**report, "answer": answer})
    return answer


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
    asyncio.run(hypercorn.asyncio.serve(restate.app([agent, task]), config))
