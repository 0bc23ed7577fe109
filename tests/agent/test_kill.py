"""A killed task tells nobody, so whoever looks asks the engine what became of it."""

import time
from functools import partial

import pytest

from tests.stack import Session, Stack
from workbench import wait_until


@pytest.mark.parametrize("step", ["plan", "write", "review"])
def test_a_killed_task_is_noticed_and_cleaned_up(stack: Stack, step: str) -> None:
    session = stack.session()
    task = session.message()["task_id"]
    session.wait_streaming(1, step)
    if step == "review":
        assert session.has_draft()
    stack.admin.kill(task)
    turn = session.wait_idle()
    assert (turn["status"], turn["error"]) == ("killed", "The task was killed.")
    session.wait_no_draft()
    assert stack.admin.wait_for(task, "completed")["completion_failure"] == "[409] killed"

    # The session goes on.
    assert session.message("Write it with Flask")["interrupted"] is None
    assert session.wait_idle()["status"] == "completed"


@pytest.mark.parametrize("when_busy", ["interrupt", "reject"])
def test_a_killed_task_is_not_said_to_be_interrupted(stack: Stack, when_busy: str) -> None:
    """Nor the session to be busy, not even to the first message that asks."""
    session = stack.session()
    task = session.message()["task_id"]
    session.wait_streaming(1, "write")
    stack.admin.kill(task)
    stack.admin.wait_for(task, "completed")
    accepted = session.call("message", {"content": "Hello", "when_busy": when_busy})
    assert accepted["interrupted"] is None
    session.wait_idle()
    assert session.statuses() == ["killed", "completed"]


@pytest.mark.parametrize("action", ["cancel", "kill"])
def test_a_message_ended_at_any_moment_leaves_no_turn_behind(stack: Stack, action: str) -> None:
    """Killed it takes its task along, for as long as it is under way; cancelled it comes through,
    once it has begun to start its task.
    """
    sessions = [stack.session() for _ in range(40)]
    for number, session in enumerate(sessions):
        message = {"content": "Write a greeter"}
        invocation = stack.ingress.send("CodingAgent", "message", message, key=session.key)
        until = time.monotonic() + 0.0005 * number
        wait_until(partial(_is_past, until), what="the moment", every=0)
        stack.admin.patch(f"/invocations/{invocation}/{action}", allow=(404, 409))
    stack.model.set(tokens_per_second=10_000)
    for session in sessions:
        wait_until(partial(_is_idle, session), what="no turn to be open")
        assert session.statuses() in (
            [],
            ["completed"],
            *([["killed"]] if action == "kill" else []),
        )
        tasks = f"target = 'CodingTask/run_task' AND invoked_by_target LIKE '%/{session.key}/%'"
        if action == "cancel":
            assert stack.count("sys_invocation", tasks) == len(session.turns())
    wait_until(lambda: not stack.open_invocations(), what="all work to be over", timeout=20)


def _is_past(moment: float) -> bool:
    return time.monotonic() >= moment


def _is_idle(session: Session) -> bool:
    return bool(session.call("get_status")["status"] == "idle")
