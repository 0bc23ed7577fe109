"""Telling a session what became of a task."""

from restate import Context

from agent.contracts import TaskReport

__all__ = ["report"]


def report(ctx: Context, session: str, outcome: TaskReport) -> None:
    """Send the outcome to `CodingAgent.task_finished`, one-way: it is delivered whatever becomes of
    the sender.

    The handler is named, not imported: `CodingAgent` imports the task, and a circle would not load.
    """
    ctx.generic_send(
        "CodingAgent", "task_finished", key=session, arg=outcome.model_dump_json().encode()
    )
