"""`CodingTask`: the work of one turn, as a tree of durable invocations.

run_task ─┬─ Workspace.begin
          ├─ plan                            a model call
          ├─ write_file, one per file ─┬─ write          a model call
          │  (in parallel)             └─ Workspace.write_file
          ├─ review                          a model call
          └─ Workspace.commit; if anything goes wrong before, Workspace.rollback
"""

from functools import partial
from typing import Any

import restate
from restate import Context, RestateDurableCallFuture, RestateDurableFuture, Service, TerminalError

from agent import workspace
from agent.cancellation import Cancelled, ended, is_cancellation, is_kill, settled, surely
from agent.checked_input import checked
from agent.contracts import FileRequest, Task, TaskReport, TaskResult, TurnRef, Watch, WriteFile
from agent.model_step import ask_model
from agent.outcome import outcome_of
from agent.prompts import plan_prompt, read_plan, review_prompt, without_fence, write_prompt
from agent.report import report
from agent.retries import RETRY_POLICY, UNTIL_DONE

__all__ = ["coding_task", "run_task", "watch", "write_file"]

coding_task = Service("CodingTask", invocation_retry_policy=RETRY_POLICY)


class _Progress:
    """What a task has begun so far, for its cleanup."""

    plan: str | None = None
    steps: tuple[RestateDurableCallFuture[str], ...] = ()


@coding_task.handler(invocation_context_managers=checked(Task))
async def run_task(ctx: Context, task: Task) -> TaskResult:
    """Plan, write, review, commit; if anything goes wrong, keep no file and leave nothing at work.

    Raises:
        TerminalError: 409 "cancelled", or the failure of a step; `metadata["plan"]` is the plan, as
            far as it got.
    """
    outcome = partial(TaskReport, turn=task.turn, task_id=ctx.request().id)
    progress = _Progress()
    try:
        result = await _work(ctx, task, progress)
    except TerminalError as error:
        # Leaves first: a parent is told of its cancellation before its children have ended.
        for step in progress.steps:
            await settled(step)
        turn = TurnRef(turn=task.turn)
        await surely(lambda: ctx.object_call(workspace.rollback, key=task.session, arg=turn))

        plan = progress.plan or (error.metadata or {}).get("partial") or None
        failure = _failure(error, plan)
        if isinstance(failure, Cancelled):
            report(ctx, task.session, outcome(status="interrupted", plan=plan))
        else:
            report(ctx, task.session, outcome(status="failed", plan=plan, error=failure.message))
        raise failure from None
    report(ctx, task.session, outcome(status="completed", plan=result.plan, answer=result.answer))
    return result


async def _work(ctx: Context, task: Task, progress: _Progress) -> TaskResult:
    session, turn = task.session, task.turn
    await ended(ctx.object_call(workspace.begin, key=session, arg=TurnRef(turn=turn)))

    reply = await ask_model(
        ctx, "plan", plan_prompt(task), session=session, turn=turn, check=read_plan
    )
    plan = read_plan(reply)
    progress.plan = str(plan)

    progress.steps = tuple(
        ctx.service_call(
            write_file,
            FileRequest(
                session=session, turn=turn, request=task.request, plan=progress.plan, path=file.path
            ),
        )
        for file in plan.files
    )
    contents = await _all(ctx, progress.steps)
    files = {file.path: content for file, content in zip(plan.files, contents, strict=True)}

    answer = await ask_model(
        ctx, "review", review_prompt(task, plan, files), session=session, turn=turn
    )

    # The point of no return: once the files are committed the task is completed, cancelled or not.
    commit = ctx.object_call(workspace.commit, key=session, arg=TurnRef(turn=turn))
    cancelled = await settled(commit)
    try:
        await commit
    except TerminalError:
        if cancelled:
            raise Cancelled from None
        raise
    return TaskResult(plan=progress.plan, answer=answer)


@coding_task.handler(invocation_context_managers=checked(FileRequest))
async def write_file(ctx: Context, file: FileRequest) -> str:
    """Have the model write one file, put it into the draft, and return it."""
    reply = await ask_model(
        ctx, f"write {file.path}", write_prompt(file), session=file.session, turn=file.turn
    )
    content = without_fence(reply)
    await ended(
        ctx.object_call(
            workspace.write_file,
            key=file.session,
            arg=WriteFile(turn=file.turn, path=file.path, content=content),
        )
    )
    return content


@coding_task.handler(invocation_context_managers=checked(Watch), invocation_retry_policy=UNTIL_DONE)
async def watch(ctx: Context, watched: Watch) -> None:
    """Attach to a task and report its end, from outside its tree: a killed task tells nobody.

    A watcher that could be cancelled would be no safety net, so it absorbs cancellations.
    """
    task = ctx.attach_invocation(watched.task_id, type_hint=TaskResult)
    await settled(task)
    outcome = await outcome_of(task, turn=watched.turn, task_id=watched.task_id)
    if outcome.status == "killed":
        turn = TurnRef(turn=watched.turn)
        await surely(lambda: ctx.object_call(workspace.rollback, key=watched.session, arg=turn))
    report(ctx, watched.session, outcome)


async def _all(ctx: Context, steps: tuple[RestateDurableCallFuture[str], ...]) -> list[str]:
    """The results of all steps. The first failure is raised at once, and the others cancelled."""
    try:
        ids = [await step.invocation_id() for step in steps]
    except TerminalError:
        raise Cancelled from None
    waiting: list[RestateDurableFuture[Any]] = list(steps)
    while waiting:
        try:
            done, waiting = await restate.wait_completed(*waiting)
        except TerminalError:
            raise Cancelled from None  # and Restate cancels the steps
        for step in done:
            try:
                await step
            except TerminalError:
                for step_id in ids:
                    ctx.cancel_invocation(step_id)
                raise
    return [await step for step in steps]


def _failure(error: TerminalError, plan: str | None) -> TerminalError:
    """The error that a task ends with. 409 "cancelled" is kept for the task's own cancellation."""
    metadata = {"plan": plan} if plan else None
    if isinstance(error, Cancelled):
        return Cancelled(metadata)
    if is_cancellation(error) or is_kill(error):
        return TerminalError(f"A step of the task was {error.message}.", metadata=metadata)
    return TerminalError(error.message, status_code=error.status_code, metadata=metadata)
