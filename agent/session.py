"""`CodingAgent`: a session. It takes messages, interrupts the tasks at work, and keeps the turns.

message ── cancel the old task ── attach, until its whole tree is over ── send the new one

Its state is one key, `session`, and one for each turn that is over. So a late report about turn 6
finds turn 6 closed, and a message reads and writes as much at turn 1,000 as at turn 20.
"""

from datetime import timedelta
from functools import partial

import restate
from pydantic import Field, RootModel
from restate import ObjectContext, ObjectSharedContext, RestateDurableFuture, TerminalError

from agent import admin
from agent.contracts import (
    Accepted,
    Approval,
    Approved,
    Ask,
    HistoryEntry,
    Message,
    Result,
    Status,
    Stopped,
    Task,
    Turn,
    TurnRef,
    Waiting,
    checked,
)
from agent.durable import THEN_KILL, is_over, stay_and_wake, stay_until_over
from agent.settings import settings
from agent.task import report
from agent.turns import Session, TurnRecord, as_history, as_it_ended
from agent.work import run_task
from agent.workspace import DraftOf, rollback

logger = restate.getLogger("agent")  # type: ignore[no-untyped-call]

AnyContext = ObjectContext | ObjectSharedContext

# How many turns may be open, and how often one may be steered: the state stays small.
_MOST_OPEN, _MOST_STEERING = 20, 10

# How many bytes of turns an answer may hold: Restate carries 32 MiB at most.
_MOST_BYTES = 24_000_000

# How long to wait for the end of a task that may be over, and of one that is about to be.
_AT_ONCE, _SOON = timedelta(milliseconds=40), timedelta(seconds=1)

# How often a task that is about to end is looked for: for 17 minutes, twice as long each time.
_MOST_LOOKS = 10

# How often it is tried to kill a task, and how long it may take to be gone.
_KILLS, _TO_BE_KILLED = 3, timedelta(seconds=3)

coding_agent = restate.VirtualObject(
    "CodingAgent",
    state_preload=False,
    invocation_retry_policy=THEN_KILL,
    # One that waits for the end of a task gives its slot to that task.
    inactivity_timeout=timedelta(seconds=1),
)

# Those who only look leave no copy of the state behind in a journal.
_NO_JOURNAL = timedelta(0)


@coding_agent.handler(invocation_context_managers=checked(Message))
async def message(ctx: ObjectContext, request: Message) -> Accepted:
    """Begin a turn, or steer one; `when_busy` says what becomes of the turns that are open.

    Raises:
        TerminalError: 409, the session is busy ("reject"), or the task to steer is over; 429, too
            much is waiting already; 503, a task does not end, and cannot be killed.
    """
    session = await _take(ctx)
    interrupts = request.when_busy in ("interrupt", "rollback")
    if not interrupts:
        await _close_those_over(ctx, session, session.open, _AT_ONCE)
        if request.when_busy == "steer":
            return _steer(ctx, session, request)
        if request.when_busy == "reject" and session.open:
            busy = session.open[0]
            said = f"The session is busy: task {busy.task_id} is at work on turn {busy.turn}."
            raise TerminalError(said, 409, {"task_id": busy.task_id})
        if len(session.open) >= _MOST_OPEN:
            said = f"{len(session.open)} turns of this session are open."
            raise TerminalError(f"{said} Wait for one to end, or interrupt.", 429)

    cut_off = []
    if interrupts:
        cut_off = await _interrupt(ctx, session, hide=request.when_busy == "rollback")
    # A burst of messages: the turn before had nothing to show yet.
    hasty = bool(cut_off) and not any(turn.plan for turn in cut_off)
    new = await _start(ctx, session, request.content, approve=request.approve, hasty=hasty)
    ctx.set("session", session)
    return Accepted(turn=new.turn, task_id=new.task_id, interrupted=_first_id(cut_off))


@coding_agent.handler()
async def stop(ctx: ObjectContext) -> Stopped:
    """Interrupt the turns that are open, if there are any, and begin nothing new.

    Raises:
        TerminalError: 503, a task does not end, and cannot be killed.
    """
    session = await _take(ctx)
    cut_off = await _interrupt(ctx, session)
    ctx.set("session", session)
    return Stopped(interrupted=_first_id(cut_off))


@coding_agent.handler(invocation_context_managers=checked(Approval))
async def approve(ctx: ObjectContext, given: Approval) -> Approved:
    """Say yes or no to the plan of a turn that waits for that; a no ends the turn as failed. An
    interruption may still come after a yes.

    Raises:
        TerminalError: 409, no such plan is waiting: not yet, or no more.
    """
    session = await _take(ctx)
    await _close_those_over(ctx, session, session.open, _AT_ONCE)
    for turn in session.open:
        meant = given.task_id in (None, turn.task_id) and given.plan in (None, turn.approval)
        if turn.turn == given.turn and turn.approval and meant:
            approved = Approved(**turn.ref.model_dump(), plan=turn.approval)
            _decide(ctx, turn, "" if given.yes else "The plan was declined.")
            ctx.set("session", session)
            return approved
    plan = "No plan" if given.plan is None else f"Plan {given.plan}"
    said = f"{plan} of turn {given.turn} is not waiting for approval: not yet, or no more."
    raise TerminalError(said, 409)


@coding_agent.handler(ingress_private=True, invocation_context_managers=checked(Ask))
async def ask_approval(ctx: ObjectContext, ask: Ask) -> None:
    """Show a plan that waits for a yes; or, where that has waited for too long, withdraw it."""
    session = await _take(ctx)
    for turn in session.open:
        # What the task is yet to hear makes it ask for another plan.
        newest = turn.steered + ask.steered == len(turn.steering)
        if turn.task_id == ask.task_id and newest and not turn.decided:
            turn.plan, turn.approval = ask.plan, len(turn.steering) + 1
            if ask.late:
                limit = f"{settings().approval_timeout:g} s"
                _decide(ctx, turn, f"The plan was not approved within {limit}.")
            ctx.set("session", session)


def _decide(ctx: ObjectContext, turn: TurnRecord, refusal: str) -> None:
    """Tell a task what became of its plan, once."""
    turn.decided, turn.approval = True, None
    taken = len(turn.steering) - turn.steered
    ctx.resolve_signal(turn.task_id, f"verdict {taken}", refusal)


class Report(TurnRef):
    """A turn whose task is over, or about to be; `looks` counts those that found it at work."""

    looks: int = Field(default=0, ge=0, le=_MOST_LOOKS)


@coding_agent.handler(ingress_private=True, invocation_context_managers=checked(Report))
async def task_finished(ctx: ObjectContext, told: Report) -> None:
    """Close a turn whose task is over. Told more than once it does nothing. A task that has not
    come to its end yet is looked for again, later each time; after that, whoever asks finds it.
    """
    session = await _take(ctx)
    turns = [
        turn for turn in session.open if (turn.turn, turn.task_id) == (told.turn, told.task_id)
    ]
    if turns and not await _close_those_over(ctx, session, turns, _SOON):
        again = told.model_copy(update={"looks": told.looks + 1})
        if again.looks <= _MOST_LOOKS:
            delay = _SOON * 2**told.looks
            ctx.object_send(task_finished, key=ctx.key(), arg=again, send_delay=delay)


@coding_agent.handler(kind="shared", journal_retention=_NO_JOURNAL)
async def get_turns(ctx: ObjectSharedContext) -> RootModel[list[Turn]]:
    """All turns, oldest first.

    Raises:
        TerminalError: 413, they do not fit into one answer.
    """
    return RootModel[list[Turn]]([*await _all_turns(ctx)])


@coding_agent.handler(kind="shared", journal_retention=_NO_JOURNAL)
async def get_history(ctx: ObjectSharedContext) -> RootModel[list[HistoryEntry]]:
    """The session as a chat, oldest first, without the turns that were rolled back.

    Raises:
        TerminalError: 413, it does not fit into one answer.
    """
    return RootModel[list[HistoryEntry]](as_history(await _all_turns(ctx)))


@coding_agent.handler(kind="shared", journal_retention=_NO_JOURNAL)
async def get_status(ctx: ObjectSharedContext) -> Status:
    """The turn and the task at work, and why that waits if it does; if none is, the newest turn."""
    session = await _load(ctx)
    for turn in await _open_turns(ctx, session):
        if turn.status == "running":
            why = partial(admin.why_waiting, turn.task_id)
            waiting = await ctx.run_typed("why it waits", why)
            if turn.approval and not waiting:
                said = f"Plan {turn.approval} waits for a yes."
                waiting = Waiting(state="approval", reason=said)
            return Status(turn=turn.turn, status="working", task_id=turn.task_id, waiting=waiting)
    return Status(turn=session.newest, status="idle", task_id=None)


def _first_id(turns: list[TurnRecord]) -> str | None:
    return turns[0].task_id if turns else None


# Beginning and steering


async def _start(
    ctx: ObjectContext,
    session: Session,
    content: str,
    *,
    approve: bool = False,
    hasty: bool = False,
) -> TurnRecord:
    """Start the task of a new turn, behind those that are open. A cancellation of this handler
    comes too late: sent again with its idempotency key, the task is the same.
    """
    session.newest += 1
    session.epoch = session.epoch or ctx.request().id
    brief = None if session.open else session.brief(session.newest, content, hasty=hasty)
    task = Task(
        session=ctx.key(),
        turn=session.newest,
        epoch=session.epoch,
        brief=brief,
        behind=[turn.ref for turn in session.open],
        approve=approve,
    )
    key = f"{ctx.request().id}/{task.turn}"
    while True:
        try:
            task_id = await ctx.service_send(run_task, task, idempotency_key=key).invocation_id()
            break
        except TerminalError:
            continue
    begun = task.brief is not None
    turn = TurnRecord(
        turn=task.turn, content=content, task_id=task_id, begun=begun, approve=approve
    )
    session.open = [*session.open, turn]
    return turn


def _begin_next(ctx: ObjectContext, session: Session) -> None:
    """Give the conversation to the oldest open turn, if it has not begun yet."""
    if session.open and not session.open[0].begun:
        turn = session.open[0]
        turn.begun, turn.steered = True, len(turn.steering)
        request = "\n\n".join([turn.content, *turn.steering])
        ctx.resolve_signal(turn.task_id, "begin", session.brief(turn.turn, request))


def _steer(ctx: ObjectContext, session: Session, request: Message) -> Accepted:
    """Hand a message to the task that it is meant for. A task says at its end how many it has
    taken; what is left becomes the next turn.
    """
    for turn in session.open:
        if turn.task_id == request.expected_task_id:
            if len(turn.steering) >= _MOST_STEERING:
                said = f"Task {turn.task_id} was steered {_MOST_STEERING} times."
                raise TerminalError(f"{said} Interrupt it, or wait for it.", 429)
            turn.steering.append(request.content)
            turn.decided, turn.approval = False, None  # it asks for another plan
            if turn.begun:  # else it is part of what the task is given
                ctx.resolve_signal(turn.task_id, "steer", request.content)
            ctx.set("session", session)
            return Accepted(turn=turn.turn, task_id=turn.task_id)
    said = f"No open turn of this session has task {request.expected_task_id}"
    raise TerminalError(f"{said}: it is over, or not this session's.", 409)


# Ending


async def _interrupt(
    ctx: ObjectContext, session: Session, *, hide: bool = False
) -> list[TurnRecord]:
    """Cancel the tasks of all open turns, wait for their ends, and close the turns. Returns those
    that this has interrupted: others may have come to their end in some other way first.
    """
    turns = session.open
    # Attached first: of one that has no slot yet, nothing is left once it is cancelled.
    tasks = [_attach(ctx, turn) for turn in turns]
    for turn in turns:
        ctx.cancel_invocation(turn.task_id)
    interrupted = []
    for turn, task in zip(turns, tasks, strict=True):
        forced = await _end(ctx, turn, task)
        ended = await as_it_ended(turn, task)
        forced = forced and ended.status == "killed"
        if forced:
            limit = f"{settings().cancel_timeout:g} s"
            said = f"The task did not end within {limit} of its cancellation, and was killed."
            ended.error = said
        if forced or ended.status == "interrupted":
            ended.hidden = hide
            interrupted.append(ended)
        _close(ctx, session, ended)
    return interrupted


async def _end(ctx: ObjectContext, turn: TurnRecord, task: RestateDurableFuture[Result]) -> bool:
    """Wait for the end of a cancelled task. A cancellation of this handler comes too late. What
    does not end in time is killed: whether it had to be.

    Raises:
        TerminalError: 503, it cannot be killed.
    """
    limit = timedelta(seconds=settings().cancel_timeout)
    if await stay_and_wake(ctx, task, turn.task_id, limit=limit):
        return False
    fault = None
    for _ in range(_KILLS):
        kill = ctx.run_typed("kill", partial(admin.kill, turn.task_id))
        await stay_until_over(kill)
        fault = await kill
        await stay_until_over(task, ctx.sleep(_TO_BE_KILLED))
        if is_over(task):
            return True
    said = f"Task {turn.task_id} does not end, and cannot be killed: {fault or 'no reason given'}."
    raise TerminalError(f"{said} Kill it by hand; see RESTATE_ADMIN_URL of the agent.", 503)


def _close(ctx: ObjectContext, session: Session, turn: TurnRecord) -> None:
    logger.info("Session %r, turn %d: %s", ctx.key(), turn.turn, turn.status)
    session.close(turn)
    ctx.set(f"turn:{turn.turn}", turn)
    if turn.begun and turn.status == "killed":  # it could not clean up
        draft = DraftOf(turn=turn.turn, epoch=session.epoch)
        ctx.object_send(rollback, key=ctx.key(), arg=draft)


# Looking: whoever has to do with an open turn asks the engine what became of its task, since one
# that was killed tells nobody.


def _attach(ctx: AnyContext, turn: TurnRecord) -> RestateDurableFuture[Result]:
    return ctx.attach_invocation(turn.task_id, type_hint=Result)


async def _those_over(
    ctx: AnyContext, turns: list[TurnRecord], limit: timedelta
) -> list[TurnRecord]:
    """The open turns whose tasks have ended, with how they ended."""
    if not turns:
        return []
    tasks = [_attach(ctx, turn) for turn in turns]
    timer = ctx.sleep(limit)
    waiting: list[RestateDurableFuture[Result] | RestateDurableFuture[None]] = [*tasks, timer]
    while timer in waiting and len(waiting) > 1:
        _, waiting = await restate.wait_completed(*waiting)
    ended = zip(turns, tasks, strict=True)
    return [await as_it_ended(turn, task) for turn, task in ended if is_over(task)]


async def _close_those_over(
    ctx: ObjectContext, session: Session, turns: list[TurnRecord], limit: timedelta
) -> bool:
    """Close the turns whose tasks have ended by themselves, and go on with what comes next."""
    over = await _those_over(ctx, turns, limit)
    for turn in over:
        left = turn.steering[turn.steered :]
        turn.steering = turn.steering[: turn.steered]
        _close(ctx, session, turn)
        if left:
            await _start(ctx, session, "\n\n".join(left), approve=turn.approve)
    if over:
        _begin_next(ctx, session)
        ctx.set("session", session)
    return bool(over)


async def _open_turns(ctx: ObjectSharedContext, session: Session) -> list[TurnRecord]:
    """The open turns as they really are."""
    over = await _those_over(ctx, session.open, _AT_ONCE)
    for turn in over:
        if turn.cut_off:  # nobody else tells the session
            report(ctx, ctx.key(), turn.ref)
    ended = {turn.turn: turn for turn in over}
    return [ended.get(turn.turn, turn) for turn in session.open]


async def _all_turns(ctx: ObjectSharedContext) -> list[TurnRecord]:
    session = await _load(ctx)
    turns = {turn.turn: turn for turn in await _open_turns(ctx, session)}
    closed = [number for number in range(1, session.newest + 1) if number not in turns]
    fetched = [ctx.get(f"turn:{number}", type_hint=TurnRecord) for number in closed]
    for number, future in zip(closed, fetched, strict=True):
        turn = await future
        if turn:
            turns[number] = turn
    if sum(len(turn.model_dump_json().encode()) for turn in turns.values()) > _MOST_BYTES:
        raise TerminalError(
            f"The {len(turns)} turns of this session do not fit into one answer of Restate's. "
            "Begin a new session.",
            413,
        )
    return [turns[number] for number in sorted(turns)]


async def _take(ctx: ObjectContext) -> Session:
    """The session, for a handler that changes it."""
    # The journal of an older invocation does not match this; see `agent/__init__.py`.
    ctx.set("changed_by", ctx.request().id)
    return await _load(ctx)


async def _load(ctx: AnyContext) -> Session:
    return await ctx.get("session", type_hint=Session) or Session()
