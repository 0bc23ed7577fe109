"""The agent with the fault of the usual pattern in it: a report ends whatever turn is the newest,
and nobody asks whose report it is. `python -m tests.stress.naive_agent` serves it.
"""

import sys
from typing import Any

import psutil

from tests.stack import Stack
from workbench import process
from workbench.home import REPOSITORY


def serve_instead(stack: Stack) -> None:
    """Put it in the agent's place, until the next start of that."""
    environment = psutil.Process(stack.agent.pid).environ()
    stack.agent.stop()
    command = [sys.executable, "-m", "tests.stress.naive_agent"]
    process.start(stack.agent.name, command, env=environment, cwd=REPOSITORY)
    stack.agent.start()  # finds it, and waits until it answers


def _plant() -> None:
    from agent.coding_agent import coding_agent
    from agent.contracts import TaskReport
    from agent.turns import newest_turn, turn_record

    handler = coding_agent.handlers["task_finished"]
    task_finished: Any = handler.fn

    async def whosever_it_is(ctx: Any, outcome: TaskReport) -> None:
        newest = await turn_record(ctx, await newest_turn(ctx))
        assert newest is not None  # a task has a turn
        mistaken = {"turn": newest.turn, "task_id": newest.task_id}
        await task_finished(ctx, outcome.model_copy(update=mistaken))

    handler.fn = whosever_it_is


if __name__ == "__main__":
    from agent.__main__ import main

    _plant()
    sys.exit(main())
