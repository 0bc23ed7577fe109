"""SIGKILL of the agent or of the server in the middle of a task: it finishes, and nothing that was
in a journal is done again.
"""

from collections.abc import Callable

import pytest

from tests.stack import Session, Stack
from workbench import start_restate


def _journaled(session: Session) -> int:
    """How many model calls have their result in a journal, which a crash does not touch."""
    tasks = "(SELECT id FROM sys_invocation WHERE target LIKE 'CodingTask/%' AND (id = '{0}' "
    where = (tasks + "OR invoked_by_id = '{0}'))").format(session.turns()[-1]["task_id"])
    return session.stack.count("sys_journal", f"entry_type = 'Notification: Run' AND id IN {where}")


def _assert_finished_once(session: Session, *, journaled: int, answered: int) -> None:
    """Nothing that was in a journal is done again: only what was `answered` just before the crash,
    and had not got there, may be.
    """
    assert session.wait_idle(timeout=40)["status"] == "completed"
    assert session.files()
    completed = [r.label for r in session.requests() if r.status == "completed"]
    assert len(completed) - len(set(completed)) <= answered - journaled
    assert not session.has_draft()


def _answered(session: Session) -> int:
    return sum(request.status == "completed" for request in session.requests())


@pytest.mark.parametrize("step", ["plan", "write", "review"])
def test_the_agent_is_killed(held: Stack, step: str) -> None:
    session = held.session()
    session.message()
    session.wait_streaming(1, step)
    journaled = _journaled(session)
    held.agent.kill()
    answered = _answered(session)
    held.agent.start()
    _assert_finished_once(session, journaled=journaled, answered=answered)


@pytest.mark.parametrize("step", ["plan", "write"])
def test_the_server_is_killed(held: Stack, step: str) -> None:
    session = held.session()
    session.message()
    session.wait_streaming(1, step)
    journaled = _journaled(session)
    held.restate.kill()
    answered = _answered(session)
    back = start_restate("embedded")
    assert back.ingress_url == held.restate.ingress_url
    _assert_finished_once(session, journaled=journaled, answered=answered)


def test_the_agent_is_killed_in_the_middle_of_an_interruption(held: Stack) -> None:
    session = held.session()
    first = session.message()["task_id"]
    session.wait_streaming(1, "write")
    held.agent.kill()
    waiting = held.ingress.send(
        "CodingAgent", "message", {"content": "Write it with Flask"}, key=session.key
    )
    held.agent.start()
    held.admin.wait_for(waiting, "completed", timeout=40)
    assert session.wait_idle(timeout=40)["status"] == "completed"
    assert session.statuses() == ["interrupted", "completed"]
    assert session.turns()[0]["task_id"] == first
    assert not session.has_draft()


def test_the_task_is_paused_before_its_cancellation_reaches_it(
    restarted: Callable[..., Stack],
) -> None:
    stack = restarted(AGENT_MAX_ATTEMPTS="2")
    session = stack.session()
    first = session.message()["task_id"]
    session.wait_streaming(1, "plan")
    stack.agent.kill()
    stack.admin.wait_for(first, "paused")
    stack.admin.cancel(first)  # wakes it, and finds nobody there
    stack.admin.wait_for(first, "paused")
    waiting = stack.ingress.send(
        "CodingAgent", "message", {"content": "Write it with Flask"}, key=session.key
    )
    stack.agent.start()
    stack.admin.wait_for(waiting, "completed", timeout=30)
    session.wait_idle()
    assert session.statuses() == ["interrupted", "completed"]
