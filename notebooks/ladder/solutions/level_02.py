"""Level 2: a new message cancels the task at work, and waits until it is over."""

import asyncio
import os

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
    if current := await ctx.get("current", type_hint=str):
        ctx.cancel_invocation(current)
        await wait_completed(ctx.attach_invocation(current))
    number = (await ctx.get("newest", type_hint=int) or 0) + 1
    job = {"session": ctx.key(), "turn": number, "content": request["content"]}
    task_id = await ctx.service_send(work, job).invocation_id()
    turn = {"turn": number, "content": request["content"], "task_id": task_id}
    ctx.set("newest", number)
    ctx.set("current", task_id)
    ctx.set("turn", {**turn, "status": "running", "answer": None})
    return {"turn": number, "task_id": task_id}


@agent.handler()
async def finished(ctx: ObjectContext, report: dict) -> None:
    turn = await ctx.get("turn", type_hint=dict)
    status = "completed" if report["answer"] else "interrupted"
    ctx.set("turn", {**turn, "status": status, "answer": report["answer"]})
    ctx.clear("current")


@agent.handler(kind="shared")
async def turns(ctx: ObjectSharedContext) -> list[dict]:
    turn = await ctx.get("turn", type_hint=dict)
    return [turn] if turn else []


@task.handler()
async def work(ctx: Context, job: dict) -> str:
    report = {"turn": job["turn"], "answer": None}
    try:
        for step in ("plan", "write", "review"):
            answer = await ctx.run_typed(step, ask, prompt=f"{step} {job['content']}")
    except TerminalError:
        ctx.object_send(finished, key=job["session"], arg=report)
        raise
    ctx.object_send(finished, key=job["session"], arg={**report, "answer": answer})
    return answer


async def ask(prompt: str) -> str:
    async with AsyncOpenAI(max_retries=0) as client:  # Restate retries
        answer = await client.chat.completions.create(
            model="any", messages=[{"role": "user", "content": prompt}]
        )
    return answer.choices[0].message.content or ""


if __name__ == "__main__":
    config = Config.from_mapping(bind=[os.environ["AGENT_BIND"]])
    asyncio.run(hypercorn.asyncio.serve(restate.app([agent, task]), config))
