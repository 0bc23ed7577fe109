"""`CodingAgent`: a session, which takes messages, interrupts the task at work, and keeps the turns.

Each turn has a state key of its own, `turn:7`, beside the number of the newest. A message therefore
writes the same few bytes in a long session as in a short one, and a late report about turn 6 can
touch turn 6 only.
"""

from datetime import timedelta

from restate import ObjectContext, ObjectSharedContext, TerminalError, VirtualObject

from agent.cancellation import ended_within
from agent.checked_input import checked
from agent.coding_task import run_task, watch
from agent.contracts import (
    Accepted,
    History,
    Message,
    Status,
    StopResult,
    Task,
    TaskReport,
    TaskResult,
    Turn,
    Turns,
    Watch,
)
from agent.history import as_conversation, as_history
from agent.outcome import outcome_of
from agent.retries import UNTIL_DONE

__all__ = [
    "coding_agent",
    "get_history",
    "get_status",
    "get_turns",
    "message",
    "stop",
    "task_finished",
]

# How many turns the model is shown.
_WINDOW = 20

# How long a cancelled task may take before it is cancelled again.
_PATIENCE = timedelta(seconds=5)

# State is fetched key by key, as asked for: a session has one key per turn, and most handlers need
# few of them.
coding_agent = VirtualObject("CodingAgent", state_preload=False, invocation_retry_policy=UNTIL_DONE)


@coding_agent.handler(invocation_context_managers=checked(Message))
async def message(ctx: ObjectContext, request: Message) -> Accepted:
    """Begin a turn. A task that is still at work is interrupted first, and over by then."""
    newest = await _newest(ctx)
    interrupted = await _interrupt(ctx, newest)
    turns = await _turns(ctx, range(max(1, newest - _WINDOW + 1), newest + 1))

    number = newest + 1
    task = Task(
        session=ctx.key(), turn=number, conversation=as_conversation(turns, request.content)
    )
    task_id = await _dispatch(ctx, task)

    # From here on nothing is awaited: the turn is on record with its task and its watcher, or not
    # at all.
    ctx.set("newest_turn", number)
    _save(ctx, Turn(turn=number, content=request.content, status="running", task_id=task_id))
    # Sent from here, the watcher is no part of the task's tree and survives a kill of it.
    ctx.service_send(watch, Watch(session=ctx.key(), turn=number, task_id=task_id))
    return Accepted(turn=number, task_id=task_id, interrupted=interrupted)


@coding_agent.handler()
async def stop(ctx: ObjectContext) -> StopResult:
    """Interrupt the task at work, if there is one, and begin nothing new."""
    return StopResult(interrupted=await _interrupt(ctx, await _newest(ctx)))


@coding_agent.handler(ingress_private=True, invocation_context_managers=checked(TaskReport))
async def task_finished(ctx: ObjectContext, outcome: TaskReport) -> None:
    """Note the end of a task, once: it may be told by the task and its watcher, early or late."""
    turn = await _turn(ctx, outcome.turn)
    if turn and turn.status == "running" and turn.task_id == outcome.task_id:
        _close(ctx, turn, outcome)


@coding_agent.handler(kind="shared")
async def get_history(ctx: ObjectSharedContext) -> History:
    """The session as a chat, oldest first."""
    return History(as_history(await _turns(ctx, range(1, await _newest(ctx) + 1))))


@coding_agent.handler(kind="shared")
async def get_turns(ctx: ObjectSharedContext) -> Turns:
    """All turns, oldest first."""
    return Turns(await _turns(ctx, range(1, await _newest(ctx) + 1)))


@coding_agent.handler(kind="shared")
async def get_status(ctx: ObjectSharedContext) -> Status:
    """The newest turn, and the task that is at work on it, if any."""
    newest = await _newest(ctx)
    turn = await _turn(ctx, newest)
    if turn and turn.status == "running":
        return Status(turn=newest, status="working", task_id=turn.task_id)
    return Status(turn=newest, status="idle", task_id=None)


async def _interrupt(ctx: ObjectContext, newest: int) -> str | None:
    """Cancel the task of the newest turn, if it is at work, and wait until its whole tree is clean.

    Returns its id if it was interrupted; None if there was none or if it came to its end some other
    way first.
    """
    turn = await _turn(ctx, newest)
    if turn is None or turn.status != "running":
        return None
    task = ctx.attach_invocation(turn.task_id, type_hint=TaskResult)
    ctx.cancel_invocation(turn.task_id)
    while not await ended_within(ctx, _PATIENCE, task):
        # While its code could not be reached the task may have been paused again. A cancellation
        # wakes it; one too many does no harm.
        ctx.cancel_invocation(turn.task_id)
    outcome = await outcome_of(task, turn=turn.turn, task_id=turn.task_id)
    # The task's own report waits behind this handler, and will find the turn closed.
    _close(ctx, turn, outcome)
    return turn.task_id if outcome.status == "interrupted" else None


async def _dispatch(ctx: ObjectContext, task: Task) -> str:
    """Send the task and return its id.

    A cancellation of this message that arrives once the task is sent comes too late, and is
    absorbed. The idempotency key makes sending again harmless: the answer is the id of the task
    that was sent first.
    """
    while True:
        task_handle = ctx.service_send(run_task, task, idempotency_key=ctx.request().id)
        try:
            return await task_handle.invocation_id()
        except TerminalError:
            continue


async def _newest(ctx: ObjectContext | ObjectSharedContext) -> int:
    return await ctx.get("newest_turn", type_hint=int) or 0


async def _turn(ctx: ObjectContext | ObjectSharedContext, number: int) -> Turn | None:
    return await ctx.get(f"turn:{number}", type_hint=Turn)


async def _turns(ctx: ObjectContext | ObjectSharedContext, numbers: range) -> list[Turn]:
    fetched = [
        ctx.get(f"turn:{number}", type_hint=Turn) for number in numbers
    ]  # all asked for before one is awaited
    turns = [await turn for turn in fetched]
    return [turn for turn in turns if turn]


def _save(ctx: ObjectContext, turn: Turn) -> None:
    ctx.set(f"turn:{turn.turn}", turn)


def _close(ctx: ObjectContext, turn: Turn, outcome: TaskReport) -> None:
    _save(
        ctx,
        turn.model_copy(
            update={
                "status": outcome.status,
                "plan": outcome.plan,
                "answer": outcome.answer,
                "error": outcome.error,
            }
        ),
    )
