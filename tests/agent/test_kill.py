"""Rule 8: a killed task tells nobody, so whoever looks asks the engine what became of it."""

import pytest

from tests.stack import Stack


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
