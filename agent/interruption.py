"""Interrupting tasks: cancel them, wait until their whole trees are clean, and end by force what
does not end.
"""

from datetime import timedelta
from functools import partial

from restate import ObjectContext, RestateDurableFuture

from agent.admin import kill_invocation
from agent.cancellation import ended_within, result_of
from agent.contracts import TaskReport, TaskResult
from agent.outcome import outcome_of
from agent.settings import settings
from agent.turns import TurnRecord, close_turn

__all__ = ["interrupt"]

# How long a cancelled task may take before it is killed, and before it is first cancelled again.
_TIMEOUT = timedelta(seconds=settings().cancel_timeout)
_PATIENCE = min(timedelta(seconds=5), _TIMEOUT)


async def interrupt(
    ctx: ObjectContext, turns: list[TurnRecord], *, roll_back: bool = False
) -> str | None:
    """End the tasks of these turns, the one at work and those that wait, and close the turns.

    `roll_back` hides from the model the turns that were interrupted. Returns the id of the oldest
    task that was interrupted; None if there was none, or each came to its end some other way first.
    """
    tasks = [ctx.attach_invocation(turn.task_id, type_hint=TaskResult) for turn in turns]
    for turn in turns:
        ctx.cancel_invocation(turn.task_id)
    interrupted = []
    for turn, task in zip(turns, tasks, strict=True):
        outcome, forced = await _end_of(ctx, turn, task)
        cut_off = forced or outcome.status == "interrupted"
        # The task's own report waits behind this handler, and will find the turn closed.
        await close_turn(ctx, turn, outcome, rolled_back=roll_back and cut_off)
        if cut_off:
            interrupted.append(turn.task_id)
    return interrupted[0] if interrupted else None


async def _end_of(
    ctx: ObjectContext, turn: TurnRecord, task: RestateDurableFuture[TaskResult]
) -> tuple[TaskReport, bool]:
    """What became of a cancelled task, and whether it had to be killed.

    The time limit is durable, and made of timers that grow: while the agent is away the one that
    runs goes on, but a task that could not hear of its cancellation has the later ones before it.
    """
    waited, patience, killed = timedelta(0), _PATIENCE, False
    while not await ended_within(ctx, patience, task):
        waited += patience
        if waited < _TIMEOUT:
            # While its code could not be reached the task may have been paused again. A
            # cancellation wakes it; one too many does no harm.
            ctx.cancel_invocation(turn.task_id)
            patience = min(2 * patience, _TIMEOUT - waited)
        else:
            # Its watcher, outside its tree, rolls back the draft.
            kill = ctx.run_typed("kill", partial(kill_invocation, turn.task_id))
            killed = await result_of(kill) or killed
            patience = _PATIENCE
    outcome = await outcome_of(task, turn=turn.turn, task_id=turn.task_id)
    if not killed or outcome.status != "killed":
        return outcome, False
    limit = f"{settings().cancel_timeout:g} s"
    error = f"The task did not end within {limit} of its cancellation, and was killed."
    return outcome.model_copy(update={"error": error}), True
