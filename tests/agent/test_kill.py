"""Rule 8: a killed task tells nobody, so somebody outside its tree watches."""

import time
from typing import Any

import pytest

from tests.stack import Stack
from workbench import wait_until


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


def test_a_message_killed_at_any_moment_leaves_no_turn_behind(stack: Stack) -> None:
    """Its task and its watcher, which it has had sent, are not taken along."""
    sessions = [stack.session() for _ in range(60)]
    for number, session in enumerate(sessions):
        invocation = stack.ingress.send(
            "CodingAgent", "message", {"content": "Write a greeter"}, key=session.key
        )
        until = time.monotonic() + 0.0005 * number
        wait_until(lambda u=until: time.monotonic() >= u, what="the moment", every=0)
        stack.admin.patch(f"/invocations/{invocation}/kill", allow=(404, 409))
    stack.model.set(tokens_per_second=10_000)
    for session in sessions:
        wait_until(
            lambda s=session: s.call("get_status")["status"] == "idle", what="no turn to be open"
        )
        keys = f"target_service_key = '{session.key}' AND status != 'completed'"
        wait_until(
            lambda k=keys: not stack.count("sys_invocation", k), what="all of a session to be over"
        )
        assert session.statuses() in ([], ["completed"])


def test_a_commit_killed_at_any_moment_is_whole_or_nothing(stack: Stack) -> None:
    content = "x" * 60_000
    files = {f"file{number}.py" for number in range(8)}
    for number in range(30):
        session = stack.session()

        def ask(handler: str, body: dict[str, Any], key: str = session.key) -> None:
            stack.ingress.call("Workspace", handler, body, key=key)

        ask("begin", {"turn": 1})
        for path in files:
            ask("write_file", {"turn": 1, "path": path, "content": content})
        commit = stack.ingress.send("Workspace", "commit", {"turn": 1}, key=session.key)
        until = time.monotonic() + 0.001 * number
        wait_until(lambda u=until: time.monotonic() >= u, what="the moment", every=0)
        stack.admin.patch(f"/invocations/{commit}/kill", allow=(404, 409))
        ask("rollback", {"turn": 1})
        assert set(session.files()) in (set(), files)
        assert not session.has_draft()


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
