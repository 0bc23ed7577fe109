"""A cancellation that is not honoured ends in a kill, after a time limit that survives crashes."""

import pytest

from tests.stack import Session, Stack
from workbench import start_agent, wait_until


@pytest.fixture
def impatient(own_stack: Stack) -> Stack:
    """A stack whose agent gives a cancelled task one second."""
    own_stack.agent.stop()
    own_stack.agent = start_agent(
        own_stack.restate, own_stack.model, env={"AGENT_CANCEL_TIMEOUT": "1"}
    )
    own_stack.admin.register(own_stack.agent.uri, force=True)
    return own_stack


def _task_that_cannot_clean_up(stack: Stack, session: Session) -> str:
    """A task at work whose rollback will wait for ever, behind an invocation paused by hand."""
    task: str = session.message()["task_id"]
    session.wait_streaming(1, "plan")
    stack.agent.kill()
    blocker = stack.ingress.send("Workspace", "rollback", {"turn": 99}, key=session.key)
    stack.admin.wait_for(blocker, "backing-off")
    stack.admin.pause(blocker)
    stack.admin.wait_for(blocker, "paused")
    stack.agent.start()
    return task


def test_a_cancellation_that_is_not_honoured_becomes_a_kill(impatient: Stack) -> None:
    stack, session = impatient, impatient.session()
    task = _task_that_cannot_clean_up(stack, session)
    assert session.stop() == task
    (turn,) = session.turns()
    assert turn["status"] == "killed"
    said = "The task did not end within 1 s of its cancellation, and was killed."
    assert turn["error"] == said
    assert stack.admin.wait_for(task, "completed")["completion_failure"] == "[409] killed"

    # The session goes on as soon as its workspace can.
    stack.admin.resume(_paused(stack))
    assert session.message("Write it with Flask")["interrupted"] is None
    assert session.wait_idle()["status"] == "completed"
    assert "app.py" in session.files()
    session.wait_no_draft()


def test_the_limit_survives_a_crash(impatient: Stack) -> None:
    stack, session = impatient, impatient.session()
    task = _task_that_cannot_clean_up(stack, session)
    stopping = stack.ingress.send("CodingAgent", "stop", key=session.key)
    wait_until(
        lambda: stack.count("sys_journal", f"id = '{stopping}' AND entry_type = 'Command: Sleep'"),
        what="the time limit to be set",
    )
    stack.agent.kill()
    stack.agent.start()
    stack.admin.wait_for(stopping, "completed")
    assert stack.ingress.output(stopping) == {"interrupted": task}
    assert session.statuses() == ["killed"]


def test_a_task_that_ends_in_time_is_not_killed(impatient: Stack) -> None:
    session = impatient.session()
    session.message()
    session.wait_streaming(1, "write", calls=2)
    session.stop()
    assert session.statuses() == ["interrupted"]


def test_no_admin_api_only_means_to_wait(own_stack: Stack) -> None:
    stack = own_stack
    stack.agent.stop()
    env = {"AGENT_CANCEL_TIMEOUT": "0.2", "RESTATE_ADMIN_URL": "http://127.0.0.1:1"}
    stack.agent = start_agent(stack.restate, stack.model, env=env)
    stack.admin.register(stack.agent.uri, force=True)
    session = stack.session()
    task = _task_that_cannot_clean_up(stack, session)
    stopping = stack.ingress.send("CodingAgent", "stop", key=session.key)
    wait_until(
        lambda: "Is RESTATE_ADMIN_URL right?" in stack.agent.log_tail(50),
        what="the log to say that the kill did not come through",
    )
    stack.admin.resume(_paused(stack))
    stack.admin.wait_for(stopping, "completed")
    assert stack.ingress.output(stopping) == {"interrupted": task}
    assert session.statuses() == ["interrupted"]


def _paused(stack: Stack) -> str:
    rows = stack.admin.query("SELECT id FROM sys_invocation WHERE status = 'paused'")
    (row,) = rows
    paused: str = row["id"]
    return paused
