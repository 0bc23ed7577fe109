"""Telling a session what became of a task."""

from restate import Context

from agent.contracts import TaskReport
from agent.log import logger

__all__ = ["report"]


def report(ctx: Context, session: str, outcome: TaskReport) -> None:
    """Send the outcome to `CodingAgent.task_finished`, one-way, whatever becomes of the sender.

    The handler is named, not imported: `CodingAgent` imports the task, and a circle would not load.
    """
    logger.info("Session %r, turn %d: %s", session, outcome.turn, outcome.status)
    ctx.generic_send(
        "CodingAgent", "task_finished", key=session, arg=outcome.model_dump_json().encode()
    )
