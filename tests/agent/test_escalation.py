"""A cancellation that is not honoured ends in a kill, after a time limit that survives crashes."""

import time

import pytest

from tests.stack import Session, Stack
from workbench import wait_until
from workbench.views import journal_rows


@pytest.fixture
def impatient(own_stack: Stack) -> Stack:
    """A stack whose agent gives a cancelled task one second."""
    own_stack.restart_agent(AGENT_CANCEL_TIMEOUT="1")
    return own_stack


def _task_that_cannot_clean_up(session: Session) -> tuple[str, str]:
    """A task at work whose rollback will wait for ever, and the id of what it will wait for."""
    task: str = session.message()["task_id"]
    session.wait_streaming(1, "plan")
    return task, session.block_workspace()


def test_a_cancellation_that_is_not_honoured_becomes_a_kill(impatient: Stack) -> None:
    stack, session = impatient, impatient.session()
    task, blocker = _task_that_cannot_clean_up(session)
    assert session.stop() == task
    (turn,) = session.turns()
    assert turn["status"] == "killed"
    said = "The task did not end within 1 s of its cancellation, and was killed."
    assert turn["error"] == said
    assert stack.admin.wait_for(task, "completed")["completion_failure"] == "[409] killed"

    # The session goes on as soon as its workspace can.
    stack.admin.resume(blocker)
    assert session.message("Write it with Flask")["interrupted"] is None
    assert session.wait_idle()["status"] == "completed"
    assert "app.py" in session.files()
    session.wait_no_draft()


def test_the_limit_survives_a_crash(own_stack: Stack) -> None:
    stack, session = own_stack, own_stack.session()
    stack.restart_agent(AGENT_CANCEL_TIMEOUT="6")
    task, _ = _task_that_cannot_clean_up(session)
    asked = time.monotonic()
    stopping = stack.ingress.send("CodingAgent", "stop", key=session.key)
    wait_until(
        lambda: stack.count("sys_journal", f"id = '{stopping}' AND entry_type = 'Command: Sleep'"),
        what="the time limit to be set",
    )
    wait_until(lambda: time.monotonic() > asked + 4, what="most of the limit to pass", every=0.1)
    stack.agent.kill()
    stack.agent.start()
    stack.admin.wait_for(stopping, "completed", timeout=20)
    assert time.monotonic() - asked >= 6
    steps = [(row["entry"], row["result"]) for row in journal_rows(stack.admin, stopping)]
    before_the_kill = steps[: [entry for entry, _ in steps].index("Run")]
    timers = [int(result.split()[1]) for entry, result in before_the_kill if entry == "Sleep"]
    # In whole milliseconds, from the clocks of two processes.
    assert sum(timers) == pytest.approx(6000, abs=100), "the limit has begun anew"
    assert stack.ingress.output(stopping) == {"interrupted": task}
    assert session.statuses() == ["killed"]


def test_a_task_that_ends_in_time_is_not_killed(impatient: Stack) -> None:
    session = impatient.session()
    session.message()
    session.wait_streaming(1, "write", calls=2)
    session.stop()
    assert session.statuses() == ["interrupted"]


def test_no_admin_api_only_means_to_wait(own_stack: Stack) -> None:
    stack, session = own_stack, own_stack.session()
    stack.restart_agent(AGENT_CANCEL_TIMEOUT="0.2", RESTATE_ADMIN_URL="http://127.0.0.1:1")
    task, blocker = _task_that_cannot_clean_up(session)
    stopping = stack.ingress.send("CodingAgent", "stop", key=session.key)
    wait_until(
        lambda: "Is RESTATE_ADMIN_URL right?" in stack.agent.log_tail(50),
        what="the log to say that the kill did not come through",
    )
    stack.admin.resume(blocker)
    stack.admin.wait_for(stopping, "completed")
    assert stack.ingress.output(stopping) == {"interrupted": task}
    assert session.statuses() == ["interrupted"]
