"""Work that does as the first words of the message say, and waits where a test holds it; else it is
the agent's own, with a commit that can be held after it is done, and a plan before it asks for
approval.

To hold a place is to make the file `$HOLDS/<session>.<place>`.
"""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

from restate import Context, ObjectContext, TerminalError

from agent import work as own
from agent.contracts import ChatMessage, Result, Task, TurnRef, checked
from agent.durable import all_or_cancel, stay_until_over
from agent.task import Job, coding_task, perform, report
from agent.workspace import workspace

_HOUR = timedelta(hours=1)


def _file(session: str, place: str) -> Path:
    return Path(os.environ["HOLDS"]) / f"{session}.{place}"


async def _held(session: str, place: str) -> None:
    """Say that the place is reached, and wait; this is no await of Restate's, so it is deaf."""
    _file(session, f"{place}.reached").touch()
    while _file(session, place).exists():  # noqa: ASYNC110 (a test's process opens it)
        await asyncio.sleep(0.01)


async def _stubborn(job: Job) -> str:
    await stay_until_over(job.ctx.sleep(timedelta(seconds=60)))
    return "done"


async def _leafy(job: Job) -> str:
    await all_or_cancel(job.ctx, [job.ctx.service_call(leaf, job.session) for _ in range(2)])
    return "done"


async def _step_after_a_hold(job: Job) -> str:
    async def effect() -> str:
        _file(job.session, "effect").touch()
        return "done"

    await _held(job.session, "before")
    return await job.step("effect", effect)


async def _effect_after_a_hold(job: Job) -> str:
    await _held(job.session, "before")
    await job.said()
    _file(job.session, "effect").touch()
    return "done"


async def _break(ctx: Context, session: str) -> str:
    """A step with a bug, as long as the test holds one."""

    async def fail() -> str:
        if _file(session, "bug").exists():
            raise ValueError("a bug in the work")
        return "done"

    return await ctx.run_typed("break", fail)


async def _broken(job: Job) -> str:
    return await _break(job.ctx, job.session)


async def _broken_at_once(job: Job) -> str:
    if _file(job.session, "bug").exists():
        raise ValueError("a bug in the work")
    await job.ctx.sleep(_HOUR)
    return "done"


async def _false_report(job: Job) -> str:
    report(job.ctx, job.session, TurnRef(turn=job.turn, task_id="inv_1"))
    await job.ctx.sleep(_HOUR)
    return "done"


async def _broken_after_its_report(job: Job) -> str:
    report(job.ctx, job.session, TurnRef(turn=job.turn, task_id=job.ctx.request().id))
    return await _break(job.ctx, job.session)


_WORKS = {
    "stubborn": _stubborn,
    "leafy": _leafy,
    "step": _step_after_a_hold,
    "effect": _effect_after_a_hold,
    "broken": _broken,
    "broken at once": _broken_at_once,
    "false report": _false_report,
    "broken after its report": _broken_after_its_report,
}


async def work(job: Job, conversation: list[ChatMessage]) -> str:
    other = _WORKS.get(conversation[-1].content)
    return await (other(job) if other else own.work(job, conversation))


del coding_task.handlers["run_task"]


@coding_task.handler(invocation_context_managers=checked(Task))
async def run_task(ctx: Context, task: Task) -> Result:
    return await perform(ctx, task, work)


@coding_task.handler()
async def leaf(ctx: Context, session: str) -> str:
    await _break(ctx, session)
    try:
        await ctx.sleep(_HOUR)
    except TerminalError:
        await _held(session, "cleanup")
        raise
    return "done"


_commit = workspace.handlers["commit"]
_commit_itself = _commit.fn


async def _held_commit(ctx: ObjectContext, request: object) -> None:
    await _commit_itself(ctx, request)
    await _held(ctx.key(), "commit")


_commit.fn = _held_commit


_approved_itself = Job.approved


async def _held_approved(job: Job) -> list[str]:
    if job.approve:
        await _held(job.session, "ask")
    return await _approved_itself(job)


Job.approved = _held_approved  # type: ignore[method-assign]
