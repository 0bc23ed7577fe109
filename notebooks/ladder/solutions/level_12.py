"""Level 12: a session can be stopped, and a task that was sent is always written down."""

import asyncio
import json
import os
from collections.abc import Callable
from datetime import timedelta

import hypercorn.asyncio
import restate
from hypercorn.config import Config
from openai import AsyncOpenAI, BadRequestError, RateLimitError, UnprocessableEntityError
from restate import (
    Context,
    InvocationRetryPolicy,
    ObjectContext,
    ObjectSharedContext,
    RestateDurableFuture,
    Service,
    TerminalError,
    VirtualObject,
    wait_completed,
)
from restate.exceptions import RetryableError

RETRIES = InvocationRetryPolicy(  # what then still fails waits for an operator
    initial_interval=timedelta(milliseconds=200),
    max_interval=timedelta(seconds=2),
    exponentiation_factor=2,
    max_attempts=6,
    on_max_attempts="pause",
)
agent, task = VirtualObject("Agent"), Service("Task", invocation_retry_policy=RETRIES)
workspace = VirtualObject("Workspace")


@agent.handler()
async def message(ctx: ObjectContext, request: dict) -> dict:
    number = await interrupt(ctx) + 1
    job = {"session": ctx.key(), **request}
    task_id = await id_of_task(ctx, job)
    turn = {"turn": number, "content": request["content"], "task_id": task_id}
    ctx.set("newest", number)
    ctx.set(f"turn {number}", {**turn, "status": "running", "answer": None})
    return {"turn": number, "task_id": task_id}


async def id_of_task(ctx: ObjectContext, job: dict) -> str:
    """Send the task; cancelled meanwhile, ask again for the same one: it has to be written down."""
    while True:
        try:
            sent = ctx.service_send(work, job, idempotency_key=ctx.request().id)
            return await sent.invocation_id()
        except TerminalError:
            continue


@agent.handler()
async def stop(ctx: ObjectContext) -> None:
    await interrupt(ctx)


async def interrupt(ctx: ObjectContext) -> int:
    """Cancel the task at work and stay until it is over. Returns the number of the newest turn."""
    number = await ctx.get("newest", type_hint=int) or 0
    turn = await ctx.get(f"turn {number}", type_hint=dict)
    if turn and turn["status"] == "running":
        ctx.cancel_invocation(turn["task_id"])
        ended = ctx.attach_invocation(turn["task_id"], type_hint=str)
        await over(ended)
        ctx.set(f"turn {number}", await with_outcome(turn, ended))
    return number


async def with_outcome(turn: dict, ended: RestateDurableFuture[str]) -> dict:
    """A turn whose task has ended, with what became of that."""
    try:
        return {**turn, "status": "completed", "answer": await ended}
    except TerminalError as error:
        statuses = {"cancelled": "interrupted", "killed": "killed"}
        return {**turn, "status": statuses.get(error.message, "failed")}


@agent.handler(kind="shared")
async def turns(ctx: ObjectSharedContext) -> list[dict]:
    newest = await ctx.get("newest", type_hint=int) or 0
    found = [await ctx.get(f"turn {n}", type_hint=dict) for n in range(1, newest + 1)]
    if found and found[-1]["status"] == "running":
        ended = ctx.attach_invocation(found[-1]["task_id"], type_hint=str)
        await wait_completed(ended, ctx.sleep(timedelta(milliseconds=100)))
        if ended.is_completed():
            found[-1] = await with_outcome(found[-1], ended)
    return found


@agent.handler(kind="shared")
async def approve(ctx: ObjectSharedContext, answer: dict) -> None:
    """Hand a human's answer to the task of the turn; one that is over does not hear it."""
    if turn := await ctx.get(f"turn {answer['turn']}", type_hint=dict):
        ctx.resolve_signal(turn["task_id"], "approve", answer["yes"])


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
    content = job["content"]
    try:
        paths = json.loads(await step(ctx, "plan", f"plan {content}"))
        prompts = [f"write {path} {content}" for path in paths]
        texts = await all_of([ctx.service_call(write, prompt) for prompt in prompts])
        answer = await step(ctx, "review", f"review {content}")
        if os.environ["AGENT_VERSION"] == "2":
            await step(ctx, "check", f"check {content}")
        if job.get("approve") and not await ctx.signal("approve", type_hint=bool):
            raise TerminalError("not approved", status_code=403)
        await ctx.sleep(timedelta(0))
    except TerminalError as error:
        if error.status_code == 409:
            await over(ctx.run_typed("sum up", ask, prompt=f"sum up {content}"))
        raise
    # The point of no return: a cancel comes too late from here on.
    if job.get("approve"):
        await over(ctx.run_typed("send", ask, prompt=f"send {content}"))
    new = dict(zip(paths, texts, strict=True))
    await done(lambda: ctx.object_call(put, key=job["session"], arg=new))
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
    try:
        async with AsyncOpenAI(max_retries=0) as client:  # Restate retries
            answer = await client.chat.completions.create(
                model="any", messages=[{"role": "user", "content": prompt}]
            )
    except (BadRequestError, UnprocessableEntityError) as error:  # never to succeed
        raise TerminalError(f"The model refused: {error.message}", status_code=500) from error
    except RateLimitError as error:
        seconds = float(error.response.headers.get("retry-after", "1"))
        raise RetryableError(error.message, retry_after=timedelta(seconds=seconds)) from error
    return answer.choices[0].message.content or ""


if __name__ == "__main__":
    config = Config.from_mapping(bind=[os.environ["AGENT_BIND"]])
    asyncio.run(hypercorn.asyncio.serve(restate.app([agent, task, workspace]), config))
