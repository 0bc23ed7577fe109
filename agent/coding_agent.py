"""`CodingAgent`: a session, which takes messages, interrupts the tasks at work, and keeps the
turns.
"""

from datetime import timedelta

from restate import ObjectContext, ObjectSharedContext, TerminalError, VirtualObject

from agent.cancellation import ended_within, surely
from agent.checked_input import checked
from agent.coding_task import run_task, watch
from agent.contracts import (
    Accepted,
    Brief,
    History,
    Message,
    NextStep,
    StartTask,
    Status,
    Steering,
    StopResult,
    Task,
    TaskReport,
    TaskResult,
    Turns,
    Watch,
)
from agent.history import as_conversation, as_history
from agent.interruption import interrupt
from agent.outcome import outcome_of
from agent.retries import UNTIL_DONE
from agent.settings import settings
from agent.turns import (
    TurnRecord,
    add_turn,
    close_turn,
    newest_turn,
    open_turns,
    save_turn,
    turn_record,
    turn_records,
)

__all__ = [
    "begin_turn",
    "coding_agent",
    "get_history",
    "get_status",
    "get_turns",
    "message",
    "next_step",
    "start_task",
    "stop",
    "task_finished",
]

# How many turns the model is shown at most.
_WINDOW = 20

# How many turns may be open, and how often one of them may be steered: what is written per message
# stays small.
_MOST_OPEN, _MOST_STEERING = 20, 10

# How long to wait for the end of a task that may be over: one that is answers at once.
_AT_ONCE = timedelta(milliseconds=50)

# State is fetched key by key, as asked for: a session has one key per turn, and most handlers need
# few of them.
coding_agent = VirtualObject("CodingAgent", state_preload=False, invocation_retry_policy=UNTIL_DONE)


@coding_agent.handler(invocation_context_managers=checked(Message))
async def message(ctx: ObjectContext, request: Message) -> Accepted:
    """Begin a turn, or steer one; `when_busy` says what becomes of the turns that are open.

    Raises:
        TerminalError: 409, the session is busy ("reject"), or the task to steer takes no more; 429,
            too much is waiting already.
    """
    busy = await open_turns(ctx)
    interrupted = None
    match request.when_busy:
        case "steer":
            return await _steer(ctx, busy, request)
        case "reject" if busy:
            at_work = busy[0]
            raise TerminalError(
                f"The session is busy: task {at_work.task_id} is at work on turn {at_work.turn}.",
                status_code=409,
                metadata={"task_id": at_work.task_id},
            )
        case "interrupt" | "rollback":
            interrupted = await interrupt(ctx, busy, roll_back=request.when_busy == "rollback")
            busy = []
        case "enqueue" if len(busy) >= _MOST_OPEN:
            raise TerminalError(
                f"{len(busy)} turns of this session are open. Wait for one to end, or interrupt.",
                status_code=429,
            )

    number = await newest_turn(ctx) + 1
    waits_for = [turn.task_id for turn in busy]
    task = Task(session=ctx.key(), turn=number, waits_for=waits_for)
    start = StartTask(task=task, message_id=ctx.request().id)
    # A cancellation of this message that arrives from here on comes too late, and is absorbed.
    task_id = await surely(lambda: ctx.object_call(start_task, key=ctx.key(), arg=start))
    # Nothing more is awaited: the turn is on record, or its task will find that it is not.
    turn = TurnRecord(turn=number, content=request.content, status="running", task_id=task_id)
    add_turn(ctx, turn, after=busy)
    return Accepted(turn=number, task_id=task_id, interrupted=interrupted)


@coding_agent.handler(
    kind="shared", ingress_private=True, invocation_context_managers=checked(StartTask)
)
async def start_task(ctx: ObjectSharedContext, start: StartTask) -> str:
    """Send a task and its watcher, and return the id of the task.

    A kill takes along what an invocation has sent, for as long as that is under way. So `message`
    does not send these two itself: by the time that it puts the turn on record, this call is over,
    and a kill of `message` reaches neither. Nor is the watcher part of the task's tree.

    The idempotency key makes sending again harmless: the answer is the id of the task that was sent
    first.
    """
    task = start.task
    while True:
        sent = ctx.service_send(run_task, task, idempotency_key=start.message_id)
        try:
            task_id = await sent.invocation_id()
        except TerminalError:  # a cancellation, which comes too late
            continue
        ctx.service_send(watch, Watch(session=task.session, turn=task.turn, task_id=task_id))
        return task_id


@coding_agent.handler()
async def stop(ctx: ObjectContext) -> StopResult:
    """Interrupt the tasks that are open, if there are any, and begin nothing new."""
    return StopResult(interrupted=await interrupt(ctx, await open_turns(ctx)))


@coding_agent.handler(ingress_private=True, invocation_context_managers=checked(NextStep))
async def begin_turn(ctx: ObjectContext, step: NextStep) -> Brief:
    """Hand the conversation to the task of a turn, whose time has come.

    Raises:
        TerminalError: 409; the turn is over.
    """
    turn = await _turn_of(ctx, step)
    for earlier in await open_turns(ctx):
        if earlier.turn < turn.turn:
            # Its task is over, since this one has waited for it; only its report is still to come.
            task = ctx.attach_invocation(earlier.task_id, type_hint=TaskResult)
            outcome = await outcome_of(task, turn=earlier.turn, task_id=earlier.task_id)
            await close_turn(ctx, earlier, outcome)
    window = await turn_records(ctx, range(max(1, turn.turn - _WINDOW + 1), turn.turn + 1))
    if turn.steering:
        save_turn(ctx, turn.model_copy(update={"handed_over": len(turn.steering)}))
    return Brief(
        conversation=as_conversation(window, budget=settings().context_tokens),
        request="\n\n".join((turn.content, *turn.steering)),
    )


@coding_agent.handler(ingress_private=True, invocation_context_managers=checked(NextStep))
async def next_step(ctx: ObjectContext, step: NextStep) -> Steering:
    """Hand over what was said to a task since it last asked.

    Raises:
        TerminalError: 409; the turn is over.
    """
    turn = await _turn_of(ctx, step)
    said = turn.steering[turn.handed_over :]
    if said or step.last:
        update = {"handed_over": len(turn.steering), "closing": not said}
        save_turn(ctx, turn.model_copy(update=update))
    return Steering(said)


@coding_agent.handler(ingress_private=True, invocation_context_managers=checked(TaskReport))
async def task_finished(ctx: ObjectContext, outcome: TaskReport) -> None:
    """Note the end of a task, once: it may be told by the task and its watcher, early or late."""
    turn = await turn_record(ctx, outcome.turn)
    if turn and turn.status == "running" and turn.task_id == outcome.task_id:
        await close_turn(ctx, turn, outcome)


@coding_agent.handler(kind="shared")
async def get_history(ctx: ObjectSharedContext) -> History:
    """The session as a chat, oldest first, without the turns that were rolled back."""
    return History(as_history(await turn_records(ctx, range(1, await newest_turn(ctx) + 1))))


@coding_agent.handler(kind="shared")
async def get_turns(ctx: ObjectSharedContext) -> Turns:
    """All turns, oldest first."""
    return Turns([*await turn_records(ctx, range(1, await newest_turn(ctx) + 1))])


@coding_agent.handler(kind="shared")
async def get_status(ctx: ObjectSharedContext) -> Status:
    """The turn and the task at work; if none is, the newest turn."""
    busy = await open_turns(ctx)
    if busy:
        return Status(turn=busy[0].turn, status="working", task_id=busy[0].task_id)
    return Status(turn=await newest_turn(ctx), status="idle", task_id=None)


async def _steer(ctx: ObjectContext, busy: list[TurnRecord], request: Message) -> Accepted:
    """Leave the message for the task that it is meant for, to be taken at its next step."""
    task_id = request.expected_task_id
    turn = next((turn for turn in busy if turn.task_id == task_id), None)
    if turn is None:
        raise TerminalError(
            f"No open turn of this session has task {task_id}: it is over, or not this session's.",
            status_code=409,
        )
    if turn.closing or await _is_over(ctx, turn):
        raise TerminalError(f"Task {task_id} is past its last step.", status_code=409)
    if len(turn.steering) >= _MOST_STEERING:
        raise TerminalError(
            f"Task {task_id} was steered {_MOST_STEERING} times. Interrupt it, or wait for it.",
            status_code=429,
        )
    save_turn(ctx, turn.model_copy(update={"steering": [*turn.steering, request.content]}))
    return Accepted(turn=turn.turn, task_id=turn.task_id, interrupted=None)


async def _is_over(ctx: ObjectContext, turn: TurnRecord) -> bool:
    """Whether the task of an open turn has ended, and only its report is still to come.

    If so, the turn is closed.
    """
    task = ctx.attach_invocation(turn.task_id, type_hint=TaskResult)
    if not await ended_within(ctx, _AT_ONCE, task):
        return False
    outcome = await outcome_of(task, turn=turn.turn, task_id=turn.task_id)
    await close_turn(ctx, turn, outcome)
    return True


async def _turn_of(ctx: ObjectContext, step: NextStep) -> TurnRecord:
    """The open turn that a task works on."""
    turn = await turn_record(ctx, step.turn)
    if turn is None or turn.status != "running" or turn.task_id != step.task_id:
        raise TerminalError(f"Turn {step.turn} is over.", status_code=409)
    return turn
