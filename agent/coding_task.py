"""`CodingTask`: the work of one turn, as a tree of durable invocations.

run_task ─┬─ CodingAgent.begin_turn      the conversation
          ├─ Workspace.begin
          ├─ plan                            a model call
          ├─ write_file, one per file ─┬─ write          a model call
          │  (in parallel)             └─ Workspace.write_file
          ├─ review                          a model call
          └─ Workspace.commit; if anything goes wrong before, Workspace.rollback

After plan, write and review, `CodingAgent.next_step` tells whether somebody steers the task.
"""

from datetime import timedelta
from functools import partial

from restate import Context, RestateDurableCallFuture, Service, TerminalError

from agent import workspace
from agent.cancellation import (
    Cancelled,
    any_of,
    ended,
    is_cancellation,
    is_kill,
    settled,
    surely,
)
from agent.checked_input import checked
from agent.contracts import (
    Brief,
    FileRequest,
    Task,
    TaskReport,
    TaskResult,
    TurnRef,
    Watch,
    WriteFile,
)
from agent.model_step import ask_model
from agent.outcome import outcome_of
from agent.prompts import (
    plan_prompt,
    read_plan,
    review_prompt,
    steered,
    without_fence,
    write_prompt,
)
from agent.retries import RETRY_POLICY, UNTIL_DONE
from agent.session import begin_turn, next_step, report
from agent.settings import settings

__all__ = ["coding_task", "run_task", "watch", "write_file"]

coding_task = Service(
    "CodingTask",
    invocation_retry_policy=RETRY_POLICY,
    # While a handler waits for a model its journal does not grow. Restate bears that for the first
    # of these and then asks it to suspend: from there on no cancellation reaches it until the step
    # is over. For the second it bears that too; then it cuts the attempt off and makes another, and
    # the model call would be paid for twice. So the first is longer than any call may take.
    inactivity_timeout=timedelta(seconds=settings().call_timeout + 60),
    abort_timeout=timedelta(seconds=60),
)


class _Progress:
    """What a task has begun so far, for its cleanup."""

    drafting = False
    plan: str | None = None
    steps: tuple[RestateDurableCallFuture[str], ...] = ()
    step_ids: tuple[str, ...] = ()

    def cancel_steps(self, ctx: Context) -> None:
        for step_id in self.step_ids:
            ctx.cancel_invocation(step_id)


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
        # Leaves first: a parent is told of its cancellation before its children have ended. One
        # that was paused just when it was told sleeps on; a further cancellation wakes it.
        for step in progress.steps:
            await settled(step, hand_on=partial(progress.cancel_steps, ctx))
        if progress.drafting:
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
    for earlier in task.waits_for:
        await any_of(ctx.attach_invocation(earlier))
    work: Brief | TaskResult = await begin_turn(ctx, task)
    while isinstance(work, Brief):
        work = await _draft(ctx, task, work, progress)

    # The point of no return: once the files are committed the task is completed, cancelled or not.
    commit = ctx.object_call(workspace.commit, key=task.session, arg=TurnRef(turn=task.turn))
    cancelled = await settled(commit)
    try:
        await commit
    except TerminalError:
        if cancelled:
            raise Cancelled from None
        raise
    return work


async def _draft(ctx: Context, task: Task, brief: Brief, progress: _Progress) -> TaskResult | Brief:
    """Plan, write and review; or, as soon as somebody steers the task, what to work on instead."""
    session, turn = task.session, task.turn
    progress.drafting = True
    await ended(ctx.object_call(workspace.begin, key=session, arg=TurnRef(turn=turn)))

    reply = await ask_model(
        ctx, "plan", plan_prompt(brief), session=session, turn=turn, check=read_plan
    )
    plan = read_plan(reply)
    progress.plan = str(plan)
    if said := await next_step(ctx, task):
        return steered(brief, plan, said)

    request = partial(
        FileRequest, session=session, turn=turn, request=brief.request, plan=progress.plan
    )
    progress.steps = tuple(
        ctx.service_call(write_file, request(path=file.path)) for file in plan.files
    )
    contents = await _all(ctx, progress)
    if said := await next_step(ctx, task):
        return steered(brief, plan, said)

    files = {file.path: content for file, content in zip(plan.files, contents, strict=True)}
    answer = await ask_model(
        ctx, "review", review_prompt(brief, plan, files), session=session, turn=turn
    )
    if said := await next_step(ctx, task, last=True):
        return steered(brief, plan, said)
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


@coding_task.handler(
    ingress_private=True,
    invocation_context_managers=checked(Watch),
    invocation_retry_policy=UNTIL_DONE,
)
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


async def _all(ctx: Context, progress: _Progress) -> list[str]:
    """The results of all steps. The first failure is raised at once, and the others cancelled."""
    steps = progress.steps
    try:
        progress.step_ids = tuple([await step.invocation_id() for step in steps])
    except TerminalError:
        raise Cancelled from None
    waiting = list(steps)
    while waiting:
        over = await any_of(*waiting)  # when this task is cancelled, Restate cancels the steps
        waiting = [step for step in waiting if step not in over]
        for step in over:
            try:
                await step
            except TerminalError:
                progress.cancel_steps(ctx)
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
