"""SIGKILL of the agent or of the server in the middle of a task: it finishes, and nothing that was
in a journal is done again.
"""

from collections.abc import Callable

import pytest

from tests.stack import Session, Stack


def _journaled(session: Session) -> int:
    """How many model calls have their result in a journal, which a crash does not touch."""
    tasks = "(SELECT id FROM sys_invocation WHERE target LIKE 'CodingTask/%' AND (id = '{0}' "
    where = (tasks + "OR invoked_by_id = '{0}'))").format(session.turns()[-1]["task_id"])
    return session.stack.count("sys_journal", f"entry_type = 'Notification: Run' AND id IN {where}")


def _answered(session: Session) -> list[str]:
    return [request.label for request in session.requests() if request.status == "completed"]


@pytest.mark.parametrize(
    ("what", "step"), [("agent", "plan"), ("agent", "write"), ("server", "write")]
)
def test_a_task_outlives(held: Stack, what: str, step: str) -> None:
    session = held.session()
    session.message()
    session.wait_streaming(1, step)
    journaled = _journaled(session)
    if what == "agent":
        held.agent.kill()
        answered = _answered(session)
        held.agent.start()
    else:
        held.restate.kill()
        answered = _answered(session)
        held.start_server()
    assert session.wait_idle(timeout=40)["status"] == "completed"
    assert session.files()
    # Only what was answered just before the crash, and had not got there, may be done again.
    labels = _answered(session)
    assert len(labels) - len(set(labels)) <= len(answered) - journaled
    assert not session.has_draft()


def test_an_interruption_outlives_its_agent(restarted: Callable[..., Stack]) -> None:
    """The task is even paused before its cancellation reaches it."""
    stack = restarted(AGENT_MAX_ATTEMPTS="2")
    session = stack.session()
    first = session.message()["task_id"]
    session.wait_streaming(1, "plan")
    stack.agent.kill()
    stack.admin.wait_for(first, "paused")
    stack.admin.cancel(first)  # wakes it, and finds nobody there
    stack.admin.wait_for(first, "paused")
    content = {"content": "Write it with Flask"}
    waiting = stack.ingress.send("CodingAgent", "message", content, key=session.key)
    stack.agent.start()
    stack.admin.wait_for(waiting, "completed", timeout=40)
    assert session.wait_idle(timeout=40)["status"] == "completed"
    assert session.statuses() == ["interrupted", "completed"]
    assert not session.has_draft()
