"""SIGKILL of the agent or of the server in the middle of a task: it finishes, and nothing that was
in a journal is done again.
"""

from collections.abc import Callable

import pytest

from tests.stack import Session, Stack
from workbench import wait_until


def _journaled(session: Session) -> int:
    """How many model calls have their result in a journal, which a crash does not touch."""
    tasks = "(SELECT id FROM sys_invocation WHERE target LIKE 'CodingTask/%' AND (id = '{0}' "
    where = (tasks + "OR invoked_by_id = '{0}'))").format(session.turns()[-1]["task_id"])
    return session.stack.count("sys_journal", f"entry_type = 'Notification: Run' AND id IN {where}")


def _answered(session: Session) -> list[str]:
    return [request.label for request in session.requests() if request.status == "completed"]


@pytest.mark.parametrize("what", ["agent", "server"])
def test_a_task_outlives(held: Stack, what: str) -> None:
    sessions = {step: held.session() for step in ("write", "plan")}
    for step, session in sessions.items():
        session.message()
        session.wait_streaming(1, step)
    journaled = {session.key: _journaled(session) for session in sessions.values()}
    if what == "agent":
        held.agent.kill()
    else:
        held.restate.kill()
    answered = {session.key: _answered(session) for session in sessions.values()}
    if what == "agent":
        held.agent.start()
    else:
        held.start_server()
    for session in sessions.values():
        assert session.wait_idle(timeout=40)["status"] == "completed"
        assert session.files()
        # Only what was answered just before the crash, and had not got there, may be done again.
        labels = _answered(session)
        again = len(labels) - len(set(labels))
        assert again <= len(answered[session.key]) - journaled[session.key]
        assert not session.has_draft()


def test_an_interruption_outlives_its_agent(restarted: Callable[..., Stack]) -> None:
    """The task is even paused before its cancellation reaches it."""
    stack = restarted(AGENT_MAX_ATTEMPTS="2")
    sessions = [stack.session() for _ in range(2)]
    tasks = [session.message()["task_id"] for session in sessions]
    for session in sessions:
        session.wait_streaming(1, "plan")
    stack.agent.kill()
    for task in tasks:
        stack.admin.wait_for(task, "paused")
        stack.admin.cancel(task)  # wakes it, and finds nobody there
        pauses = f"id = '{task}' AND event_type = 'Paused'"
        wait_until(
            lambda pauses=pauses: stack.count("sys_journal_events", pauses) == 2,
            what="the task to be paused again",
        )
    # A kill needs nobody there.
    stack.admin.kill(tasks[1])
    killed = stack.admin.wait_for(tasks[1], "completed", timeout=2)
    assert killed["completion_failure"] == "[409] killed"
    content = {"content": "Write it with Flask"}
    sent = [
        stack.ingress.send("CodingAgent", "message", content, key=session.key)
        for session in sessions
    ]
    stack.agent.start()
    ends = ("interrupted", "killed")
    for session, waiting, status in zip(sessions, sent, ends, strict=True):
        stack.admin.wait_for(waiting, "completed", timeout=40)
        assert session.wait_idle(timeout=40)["status"] == "completed"
        assert session.statuses() == [status, "completed"]
        assert not session.has_draft()
