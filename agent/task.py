"""`CodingTask.run_task`: the work of one turn, whatever it is, from its beginning to its end.

A task is given the conversation, and asks its session for nothing. A queued task receives it by
signal when its turn comes. Steering messages arrive as signals, too. Its result, or the error that
it ends with, is its report: the session attaches to it and reads that.
"""

from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any

import restate
from restate import Context, Service, TerminalError

from agent.contracts import Ask, Brief, ChatMessage, Result, Task, TurnRef
from agent.durable import SUSPEND_AFTER, THEN_PAUSE, stop_when_cancelled
from agent.model import ask_model
from agent.settings import settings

coding_task = Service(
    "CodingTask",
    invocation_retry_policy=THEN_PAUSE,
    inactivity_timeout=SUSPEND_AFTER,
    # A step that cannot suspend is left alone for longer than any step takes.
    abort_timeout=timedelta(days=1),
)

# Messages that come in a burst interrupt each other, and only the last needs the model.
_HASTE = timedelta(milliseconds=50)

# How long a task waits for its session: a queued one to be begun once nothing is ahead of it, and
# one that was not approved in time to be told so. It is longer than a session may take for that;
# one that an operator has restarted would wait for ever.
_TO_BE_TOLD = timedelta(minutes=10)


class Job:
    """The tools of the work: ask the model, hear what was said, ask the user, undo.

    Attributes:
        plan: how far it has got, for whoever goes on after an interruption.
        undo: takes back its effects, one-way; called if the turn does not complete, when nothing
            that the work has started is at work any more.
    """

    def __init__(self, ctx: Context, task: Task) -> None:
        self.ctx, self.session, self.turn, self.epoch = ctx, task.session, task.turn, task.epoch
        self.ref = TurnRef(turn=task.turn, task_id=ctx.request().id)
        self.approve = task.approve
        self.plan: str | None = None
        self.undo: Callable[[], object] = lambda: None
        self.steered = 0
        self._steer = ctx.signal("steer", type_hint=str)

    async def ask(
        self, step: str, messages: list[ChatMessage], *, schema: dict[str, Any] | None = None
    ) -> str:
        """The model's answer; see `agent.model.ask_model`."""
        return await ask_model(
            self.ctx, step, messages, session=self.session, turn=self.turn, schema=schema
        )

    async def step(self, name: str, action: Callable[[], Coroutine[Any, Any, str]]) -> str:
        """The result of an action with effects, a durable step that a cancellation stops.

        Raises:
            TerminalError: 409, cancelled. The action was interrupted, or has not begun.
        """
        done, cancelled = await stop_when_cancelled(
            self.ctx, name, action, result=str, stopped=lambda: ""
        )
        if cancelled:
            raise cancelled
        return done

    async def said(self) -> list[str]:
        """Messages that steer this task, since it last asked. To be called between two steps: a
        cancellation that has come is heard here as well, before the next step begins.
        """
        texts = []
        now = self.ctx.sleep(timedelta(0))
        while self._steer in (await restate.wait_completed(self._steer, now))[0]:
            texts.append(await self._steer)
            self._steer = self.ctx.signal("steer", type_hint=str)
        self.steered += len(texts)
        return texts

    async def approved(self) -> list[str]:
        """Wait for the user's yes to the plan, if the message has asked for that. Returns what was
        said instead, which asks for another plan. The session decides what comes first, a yes, a no
        or the end of the time: what it has answered to the user is what the task gets.

        Raises:
            TerminalError: 409, cancelled; 500, the answer was no, or none came in time.
        """
        if not self.approve:
            return []
        # Its name is the fence: what was said to this plan is not heard by the next.
        verdict = self.ctx.signal(f"verdict {self.steered}", type_hint=str)
        ask = Ask(**self.ref.model_dump(), plan=self.plan or "", steered=self.steered)
        limit = timedelta(seconds=settings().approval_timeout)
        for late, patience in ((False, limit), (True, _TO_BE_TOLD)):
            arg = ask.model_copy(update={"late": late})
            _tell(self.ctx, self.session, "ask_approval", arg)
            over, _ = await restate.wait_completed(verdict, self._steer, self.ctx.sleep(patience))
            if verdict in over:
                refusal = await verdict
                if refusal:
                    raise TerminalError(refusal)
                return []
            texts = await self.said()
            if texts:
                return texts
        raise TerminalError("The session has not answered whether the plan is approved.")


Work = Callable[[Job, list[ChatMessage]], Awaitable[str]]


async def perform(ctx: Context, task: Task, work: Work) -> Result:
    """The body of `run_task`.

    Raises:
        TerminalError: 409, the task was cancelled; else it has failed. The metadata tells how far
            it had got.
    """
    job = Job(ctx, task)
    try:
        brief = await _brief(ctx, task)
        if brief.hasty:
            await ctx.sleep(_HASTE)
        answer = await work(job, brief.conversation)
    except TerminalError as error:
        job.undo()
        metadata = {"steered": str(job.steered)}
        plan = job.plan or (error.metadata or {}).get("partial")
        if plan:
            metadata["plan"] = plan
        if error.status_code == 409 and error.message == "cancelled":
            raise TerminalError("cancelled", 409, metadata) from None
        report(ctx, task.session, job.ref)  # who cancels a task attaches to it; here nobody does
        raise TerminalError(error.message, 500, metadata) from None
    report(ctx, task.session, job.ref)
    return Result(plan=job.plan, answer=answer, steered=job.steered)


async def _brief(ctx: Context, task: Task) -> Brief:
    """The task's brief, as soon as its time has come. Who waits watches: a task that an operator
    cancels or kills tells nobody.
    """
    if task.brief:
        return task.brief
    begin = ctx.signal("begin", type_hint=Brief)
    for ref in task.behind:
        earlier = ctx.attach_invocation(ref.task_id, type_hint=Result)
        over, _ = await restate.wait_completed(begin, earlier)
        if begin in over:
            return await begin
        report(ctx, task.session, ref)
    over, _ = await restate.wait_completed(begin, ctx.sleep(_TO_BE_TOLD))
    if begin not in over:
        raise TerminalError("The session did not begin this turn.")
    return await begin


def report(ctx: Context, session: str, ref: TurnRef) -> None:
    """Tell a session that a task is over, or about to be."""
    _tell(ctx, session, "task_finished", ref)


def _tell(ctx: Context, session: str, handler: str, arg: TurnRef) -> None:
    # `CodingAgent` is named, not imported: it imports this module.
    ctx.generic_send("CodingAgent", handler, arg.model_dump_json().encode(), key=session)
