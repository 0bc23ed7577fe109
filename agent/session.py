"""What a task asks its session, and tells it.

The handlers of `CodingAgent` are named here, not imported: `CodingAgent` imports the task, and a
circle would not load.
"""

from restate import Context

from agent.cancellation import result_of
from agent.contracts import Brief, NextStep, Steering, Task, TaskReport
from agent.log import logger

__all__ = ["begin_turn", "next_step", "report"]


async def begin_turn(ctx: Context, task: Task) -> Brief:
    """The conversation to work on.

    The answer comes when the messages that are in the session's queue by now have been dealt with,
    so a task that one of them interrupts has not called the model.

    Raises:
        Cancelled: this task was cancelled. The call, which may wait in the queue, is then dropped.
        TerminalError: 409; the turn is over.
    """
    return Brief.model_validate_json(
        await _ask(ctx, task, "begin_turn", NextStep(turn=task.turn, task_id=ctx.request().id))
    )


async def next_step(ctx: Context, task: Task, *, last: bool = False) -> list[str]:
    """What was said to this task since it last asked: nothing, unless somebody steers it.

    `last`: no model call is to follow. If the answer is empty, nothing will be said any more.

    Raises:
        Cancelled, TerminalError: as `begin_turn`.
    """
    step = NextStep(turn=task.turn, task_id=ctx.request().id, last=last)
    return Steering.model_validate_json(await _ask(ctx, task, "next_step", step)).root


def report(ctx: Context, session: str, outcome: TaskReport) -> None:
    """Send the outcome to `CodingAgent.task_finished`, one-way, whatever becomes of the sender."""
    logger.info("Session %r, turn %d: %s", session, outcome.turn, outcome.status)
    ctx.generic_send(
        "CodingAgent", "task_finished", key=session, arg=outcome.model_dump_json().encode()
    )


async def _ask(ctx: Context, task: Task, handler: str, step: NextStep) -> bytes:
    arg = step.model_dump_json().encode()
    return await result_of(ctx.generic_call("CodingAgent", handler, key=task.session, arg=arg))
