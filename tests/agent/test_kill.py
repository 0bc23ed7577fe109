"""Rule 8: a killed task tells nobody, so somebody outside its tree watches."""

import pytest

from tests.stack import Stack


@pytest.mark.parametrize("step", ["plan", "write", "review"])
def test_a_killed_task_is_noticed_and_cleaned_up(stack: Stack, step: str) -> None:
    session = stack.session()
    task = session.message()["task_id"]
    session.wait_streaming(1, step)
    stack.admin.kill(task)
    turn = session.wait_idle()
    assert (turn["status"], turn["error"]) == ("killed", "The task was killed.")
    session.wait_no_draft()
    assert stack.admin.wait_for(task, "completed")["completion_failure"] == "[409] killed"

    # The session goes on.
    assert session.message("Write it with Flask")["interrupted"] is None
    assert session.wait_idle()["status"] == "completed"


def test_a_killed_task_is_not_said_to_be_interrupted(stack: Stack) -> None:
    session = stack.session()
    session.message()
    session.wait_streaming(1, "plan")
    stack.admin.kill(session.call("get_status")["task_id"])
    assert session.message("Write it with Flask")["interrupted"] is None
    session.wait_idle()
    assert session.statuses() == ["killed", "completed"]


def test_the_watcher_declines_to_be_cancelled(stack: Stack) -> None:
    session = stack.session()
    task = session.message()["task_id"]
    session.wait_streaming(1, "write")
    watchers = stack.admin.query(
        "SELECT id FROM sys_invocation WHERE target = 'CodingTask/watch' "
        f"AND invoked_by_id IN (SELECT invoked_by_id FROM sys_invocation WHERE id = '{task}')"
    )
    assert len(watchers) == 1
    stack.admin.cancel(watchers[0]["id"])
    stack.admin.kill(task)
    assert session.wait_idle()["status"] == "killed"


def test_the_watcher_waits_for_an_agent_that_stays_away(own_stack: Stack) -> None:
    own_stack.restart_agent(AGENT_MAX_ATTEMPTS="2")
    session = own_stack.session()
    task = session.message()["task_id"]
    session.wait_streaming(1, "write")
    own_stack.agent.kill()
    own_stack.admin.wait_for(task, "paused")  # more attempts than its watcher's would be
    own_stack.admin.kill(task)
    own_stack.agent.start()
    assert session.wait_idle()["status"] == "killed"
    session.wait_no_draft()
