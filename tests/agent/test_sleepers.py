"""A task that waits for its next attempt hears of its cancellation within a second, and
`get_status` says why it waits.
"""

import time
from datetime import datetime, timezone
from typing import Any

import pytest

from tests.stack import Session, Stack
from workbench import wait_until

# It takes some 0.4 s where the machine has nothing else to do.
_WITHIN = 4.0


def _waiting(session: Session) -> dict[str, Any]:
    """Why the session's task waits, once it does."""
    waiting: dict[str, Any] = wait_until(
        lambda: session.call("get_status").get("waiting"), what="the task to wait"
    )
    return waiting


def _interrupt(session: Session, task: str) -> None:
    began = time.monotonic()
    accepted = session.message("Write it with Flask")
    assert time.monotonic() - began < _WITHIN
    assert accepted["interrupted"] == task
    assert session.statuses()[:-1] == ["interrupted"]
    assert session.wait_idle()["status"] == "completed"


@pytest.mark.parametrize("step", ["plan", "write"])
@pytest.mark.parametrize(
    ("kind", "options"), [("rate_limit", {"retry_after": 3600.0}), ("server_error", {})]
)
def test_a_task_that_waits_for_the_provider(
    held: Stack, kind: str, options: dict[str, Any], step: str
) -> None:
    session = held.session()
    held.model.fail(kind, match=f"{session.key}/1/{step}", **options)
    task = session.message()["task_id"]
    waiting = _waiting(session)
    said = {"rate_limit": "429: Rate limit reached", "server_error": "500: The server had an error"}
    assert waiting["state"] == "backing-off"
    assert said[kind] in waiting["reason"]
    if kind == "rate_limit":
        until = datetime.fromisoformat(waiting["until"])
        assert 3500 < (until - datetime.now(timezone.utc)).total_seconds() <= 3601
    _interrupt(session, task)
    assert "waiting" not in session.call("get_status")


def test_a_task_with_a_bug_and_one_whose_step_takes_long(held: Stack) -> None:
    """The bug is in its step, or in what it has called; Restate's delays have grown to eight
    seconds. Who waits for a step for some seconds is asked by Restate to suspend, and cannot.
    """
    sessions = [held.session() for _ in range(3)]
    held.model.fail("hang", match=f"{sessions[2].key}/1/")
    bugs = [session.hold("bug") for session in sessions]
    works = zip(sessions, ("broken", "leafy", "Write a greeter"), strict=True)
    tasks = [session.message(work)["task_id"] for session, work in works]
    for task in tasks[:2]:
        broken = f"(id = '{task}' OR invoked_by_id = '{task}') AND status = 'backing-off'"
        wait_until(
            lambda broken=broken: held.count("sys_invocation", f"{broken} AND retry_count >= 6"),
            what="the sixth attempt",
            timeout=20,
        )
    assert time.time() > sessions[2].requests()[0].started_at + 6
    for session in sessions[:2]:
        waiting = _waiting(session)
        assert waiting["state"] == "backing-off"
        assert "a bug in the work" in waiting["reason"]
    for session, task in zip(sessions, tasks, strict=True):
        _interrupt(session, task)
    for bug in bugs:
        bug.open()


def test_a_task_that_an_operator_has_paused(held: Stack) -> None:
    session = held.session()
    task = session.message()["task_id"]
    session.wait_streaming(1, "plan")
    held.admin.pause(task)
    held.model.set(tokens_per_second=10_000)
    held.admin.wait_for(task, "paused")
    waiting = _waiting(session)
    assert waiting == {
        "state": "paused",
        "reason": "Paused by hand, or for a reason that is not recorded.",
        "until": None,
    }
    _interrupt(session, task)


def test_a_step_that_waits_deep_below(held: Stack) -> None:
    """One of several is paused; the others are done."""
    session = held.session()
    held.model.fail("unauthorized", times=1, match=f"{session.key}/1/write")
    task = session.message()["task_id"]
    wait_until(lambda: _waiting(session)["state"] == "paused", what="a step to be paused")
    assert "401" in _waiting(session)["reason"]
    _interrupt(session, task)
