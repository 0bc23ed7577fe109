"""`python tests/ladder/our_agent.py`: the agent of the series behind the ladder's contract.

Its session, with all that this guarantees, is `CodingAgent`'s own; the work is the ladder's.
"""

import asyncio
import json
import os
import sys
from types import ModuleType

import restate
from restate import Context, ObjectSharedContext, TerminalError, VirtualObject
from restate.serde import BytesSerde

from agent.__main__ import serve
from agent.contracts import ChatMessage, Result, Task, Wire, checked
from agent.durable import all_or_cancel, stay_for_result, stay_until_over
from agent.model import ask_model
from agent.provider import Reply, ask
from agent.task import Job, coding_task, perform
from agent.workspace import Commit, DraftOf, WriteFile, commit, put_file, rollback


class File(Wire):
    session: str
    turn: int
    epoch: str | None = None
    path: str
    content: str


@coding_task.handler(invocation_context_managers=checked(Task))
async def run_task(ctx: Context, task: Task) -> Result:
    return await perform(ctx, task, work)


async def work(job: Job, conversation: list[ChatMessage]) -> str:
    content = conversation[-1].content
    draft = DraftOf(turn=job.turn, epoch=job.epoch)
    try:
        paths = json.loads(await job.ask("plan", said(f"plan {content}")))
        job.undo = lambda: job.ctx.object_send(rollback, key=job.session, arg=draft)
        of = {"session": job.session, "turn": job.turn, "epoch": job.epoch, "content": content}
        files = [File(path=path, **of) for path in paths]
        await all_or_cancel(job.ctx, [job.ctx.service_call(write, file) for file in files])
        answer = await job.ask("review", said(f"review {content}"))
        if os.environ["AGENT_VERSION"] == "2":
            await job.ask("check", said(f"check {content}"))
        await job.approved()
        await job.said()
    except TerminalError as error:
        if error.status_code == 409:
            await stay_until_over(plain_step(job, "sum up", content))
        raise
    arg = Commit(turn=job.turn, epoch=job.epoch, paths=paths)
    if job.approve:  # from here on a cancellation comes too late
        await stay_until_over(plain_step(job, "send", content))
    while True:
        try:
            await stay_for_result(job.ctx.object_call(commit, key=job.session, arg=arg))
            return answer
        except TerminalError:
            if not job.approve:
                raise


@coding_task.handler(invocation_context_managers=checked(File))
async def write(ctx: Context, file: File) -> None:
    prompt = said(f"write {file.path} {file.content}")
    text = await ask_model(ctx, f"write {file.path}", prompt, session=file.session, turn=file.turn)
    arg = WriteFile(turn=file.turn, epoch=file.epoch, path=file.path, content=text)
    await stay_for_result(ctx.object_call(put_file, key=file.session, arg=arg))


def plain_step(job: Job, name: str, content: str) -> restate.RestateDurableFuture[str]:
    async def call() -> str:
        reply = Reply()
        await ask(said(f"{name} {content}"), reply, label=f"{job.session}/{job.turn}/{name}")
        return reply.text

    return job.ctx.run_typed(name, call)


def said(words: str) -> list[ChatMessage]:
    return [ChatMessage(role="user", content=words)]


other_work = ModuleType("agent.work")
other_work.run_task = run_task  # type: ignore[attr-defined]
sys.modules["agent.work"] = other_work  # the session takes its task from there

facade = VirtualObject("Agent")


def hand_on(name: str, service: str, handler: str) -> None:
    """A handler of the contract is one of ours; shared, so that a call waits in one queue only."""

    @facade.handler(name, kind="shared", input_serde=BytesSerde(), output_serde=BytesSerde())
    async def call(ctx: ObjectSharedContext, request: bytes) -> bytes:
        return await ctx.generic_call(service, handler, request, ctx.key())


hand_on("message", "CodingAgent", "message")
hand_on("stop", "CodingAgent", "stop")
hand_on("turns", "CodingAgent", "get_turns")
hand_on("approve", "CodingAgent", "approve")
hand_on("files", "Workspace", "read_files")

if __name__ == "__main__":
    asyncio.run(serve(facade))
