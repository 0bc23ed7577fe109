"""Rule 6: what passes is tried again, what the operator can mend pauses, what is wrong with the
request fails.
"""

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
    ("kind", "step", "calls"),
    [("outage", "plan", 3), ("unauthorized", "plan", 1), ("outage", "review", 3)],
)
def test_what_the_operator_can_mend_pauses(stack: Stack, kind: str, step: str, calls: int) -> None:
    """At once; or, where it might pass, after AGENT_MAX_ATTEMPTS. Finished steps stay."""
    session = stack.session()
    stack.model.fail(kind, match=f"{session.key}/1/{step}")
    session.message()
    (paused,) = _paused(stack, session)
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
