"""Rule 6: what passes is tried again, what the operator can mend pauses, what is wrong with the
request fails.
"""

import pytest

from tests.stack import Session, Stack
from workbench import wait_until


def _paused(stack: Stack, session: Session) -> str:
    """The id of this session's paused invocation, once there is one."""
    task = session.turns()[-1]["task_id"]
    ours = f"status = 'paused' AND (id = '{task}' OR invoked_by_id = '{task}')"
    query = f"SELECT id FROM sys_invocation WHERE {ours}"
    (row,) = wait_until(lambda: stack.admin.query(query), what="a paused invocation")
    return str(row["id"])


@pytest.mark.parametrize(
    ("kind", "step", "calls"),
    [("outage", "plan", 3), ("unauthorized", "plan", 1), ("outage", "review", 3)],
)
def test_what_the_operator_can_mend_pauses(stack: Stack, kind: str, step: str, calls: int) -> None:
    """At once; or, where it might pass, after AGENT_MAX_ATTEMPTS. Finished steps stay."""
    session = stack.session()
    stack.model.fail(kind, match=f"{session.key}/1/{step}")
    session.message()
    paused = _paused(stack, session)
    assert [request.step for request in session.requests()].count(step) == calls
    status = session.call("get_status")
    assert (status["status"], status["waiting"]["state"]) == ("working", "paused")
    said = {"outage": "overloaded, please try later", "unauthorized": "401: Incorrect API key."}
    assert said[kind] in status["waiting"]["reason"]

    stack.model.mend()
    stack.admin.resume(paused)
    assert session.wait_idle()["status"] == "completed"
    assert "waiting" not in session.call("get_status")
    served = [request.step for request in session.requests() if request.status == "completed"]
    assert sorted(served) == sorted(["plan", *["write"] * len(session.files()), "review"])


def test_a_request_that_is_refused_fails_the_turn(stack: Stack) -> None:
    session = stack.session()
    stack.model.fail("unprocessable", match=f"{session.key}/1/write")
    session.message()
    turn = session.wait_idle()
    stack.model.mend()
    assert turn["status"] == "failed"
    assert "422: The request cannot be processed." in turn["error"]
    session.wait_no_draft()
    assert session.files() == {}
    assert session.message("Write it with Flask")["interrupted"] is None
    assert session.wait_idle()["status"] == "completed"
