"""Level 1: each model call is a step in the journal."""

import asyncio
import os

import hypercorn.asyncio
import restate
from hypercorn.config import Config
from openai import AsyncOpenAI
from restate import Context, ObjectContext, ObjectSharedContext, Service, VirtualObject

agent, task = VirtualObject("Agent"), Service("Task")


@agent.handler()
async def message(ctx: ObjectContext, request: dict) -> dict:
    number = (await ctx.get("newest", type_hint=int) or 0) + 1
    job = {"session": ctx.key(), "turn": number, "content": request["content"]}
    task_id = await ctx.service_send(work, job).invocation_id()
    turn = {"turn": number, "content": request["content"], "task_id": task_id}
    ctx.set("newest", number)
    ctx.set("turn", {**turn, "status": "running", "answer": None})
    return {"turn": number, "task_id": task_id}


@agent.handler()
async def finished(ctx: ObjectContext, report: dict) -> None:
    turn = await ctx.get("turn", type_hint=dict)
    ctx.set("turn", {**turn, "status": "completed", "answer": report["answer"]})


@agent.handler(kind="shared")
async def turns(ctx: ObjectSharedContext) -> list[dict]:
    turn = await ctx.get("turn", type_hint=dict)
    return [turn] if turn else []


@task.handler()
async def work(ctx: Context, job: dict) -> str:
    for step in ("plan", "write", "review"):
        answer = await ctx.run_typed(step, ask, prompt=f"{step} {job['content']}")
    ctx.object_send(finished, key=job["session"], arg={"turn": job["turn"], "answer": answer})
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
