"""What became of a task, as whoever attached to it sees it: its result, or the error that it ended
with.
"""

from restate import RestateDurableFuture, TerminalError

from agent.cancellation import Cancelled, is_cancellation, is_kill, result_of
from agent.contracts import TaskReport, TaskResult

__all__ = ["outcome_of"]


async def outcome_of(
    task: RestateDurableFuture[TaskResult], *, turn: int, task_id: str
) -> TaskReport:
    """Wait for the end of a task and say what it was.

    Raises:
        Cancelled: the invocation that waits was cancelled, not the task.
    """
    try:
        result = await result_of(task)
    except Cancelled:
        raise
    except TerminalError as error:
        # Partial work comes back in the metadata of the error. A killed task has had no chance to
        # attach any.
        plan = (error.metadata or {}).get("plan")
        if is_cancellation(error):
            return TaskReport(turn=turn, task_id=task_id, status="interrupted", plan=plan)
        if is_kill(error):
            return TaskReport(
                turn=turn, task_id=task_id, status="killed", error="The task was killed."
            )
        return TaskReport(
            turn=turn, task_id=task_id, status="failed", plan=plan, error=error.message
        )
    return TaskReport(
        turn=turn, task_id=task_id, status="completed", plan=result.plan, answer=result.answer
    )
