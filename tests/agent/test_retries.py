"""Rule 6: what passes is tried again, what the operator can mend pauses, what is wrong with the
request fails.
"""

from typing import Any

import pytest

from tests.stack import Session, Stack
from workbench import wait_until


def _paused(stack: Stack, session: Session) -> list[str]:
    """The ids of this session's paused invocations, once there is one."""
    tasks = f"(SELECT id FROM sys_invocation WHERE id = '{session.turns()[-1]['task_id']}')"

    def paused() -> list[str]:
        rows = stack.admin.query(
            "SELECT id FROM sys_invocation WHERE status = 'paused' "
            f"AND (id IN {tasks} OR invoked_by_id IN {tasks})"
        )
        return [row["id"] for row in rows]

    return wait_until(paused, what="a paused invocation")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("outage", {}),
        ("server_error", {}),
        ("rate_limit", {"retry_after": 0.1}),
        ("cut", {"after_tokens": 5}),
        ("empty", {}),
    ],
)
def test_a_fault_that_passes_is_not_noticed(
    stack: Stack, kind: str, options: dict[str, Any]
) -> None:
    session = stack.session()
    stack.model.fail(kind, times=1, match=session.key, **options)
    session.message()
    assert session.wait_idle()["status"] == "completed"


def test_a_rate_limit_waits_as_long_as_it_is_told(stack: Stack) -> None:
    session = stack.session()
    stack.model.fail("rate_limit", times=1, retry_after=1.0, match=session.key)
    session.message()
    session.wait_idle()
    refused, again = session.requests()[:2]
    assert refused.http_status == 429
    assert again.started_at - refused.started_at >= 1.0


@pytest.mark.parametrize("kind", ["outage", "unauthorized", "forbidden", "not_found"])
def test_what_the_operator_can_mend_pauses(stack: Stack, kind: str) -> None:
    session = stack.session()
    stack.model.fail(kind, match=session.key)
    session.message()
    (paused,) = _paused(stack, session)
    assert len(session.requests()) == 3  # AGENT_MAX_ATTEMPTS
    assert session.call("get_status")["status"] == "working"

    stack.model.mend()
    stack.admin.resume(paused)
    assert session.wait_idle()["status"] == "completed"


def test_finished_steps_are_not_run_again(stack: Stack) -> None:
    session = stack.session()
    stack.model.fail("outage", match="review")
    session.message()
    (paused,) = _paused(stack, session)
    stack.model.mend()
    stack.admin.resume(paused)
    session.wait_idle()
    served = [request.step for request in session.requests() if request.status == "completed"]
    assert sorted(served) == sorted(["plan", *["write"] * len(session.files()), "review"])


@pytest.mark.parametrize("kind", ["bad_request", "unprocessable"])
@pytest.mark.parametrize("step", ["plan", "write", "review"])
def test_a_request_that_is_refused_fails_the_turn(stack: Stack, kind: str, step: str) -> None:
    session = stack.session()
    stack.model.fail(kind, match=f"/1/{step}")
    try:
        session.message()
        turn = session.wait_idle()
    finally:
        stack.model.mend()
    status = {"bad_request": 400, "unprocessable": 422}[kind]
    assert turn["status"] == "failed"
    assert f"The model's provider answered {status}" in turn["error"]
    session.wait_no_draft()
    assert session.files() == {}
    assert session.message("Write it with Flask")["interrupted"] is None
    assert session.wait_idle()["status"] == "completed"


def test_a_paused_task_can_be_interrupted(stack: Stack) -> None:
    session = stack.session()
    stack.model.fail("outage", match=f"{session.key}/1/")
    first = session.message()["task_id"]
    _paused(stack, session)
    stack.model.mend()
    before = len(session.requests())
    assert session.message("Write it with Flask")["interrupted"] == first
    assert session.wait_idle()["status"] == "completed"
    assert len(session.requests(1)) == before  # nothing of the old task was tried again
    served = sum(r.status == "completed" for r in session.requests())
    wait_until(lambda: session.usage()["calls"] == served, what="the usage to be told")
    assert session.usage()["interrupted_calls"] == 0  # and nothing was counted
