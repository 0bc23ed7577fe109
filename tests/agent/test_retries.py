"""What passes is tried again, and what the operator can mend pauses. What is wrong with the
request fails; see `test_provider_replies.py`.
"""

import pytest

from tests.stack import Stack


@pytest.mark.parametrize(
    ("kind", "step", "calls"),
    [("outage", "plan", 3), ("unauthorized", "plan", 1), ("outage", "review", 3)],
)
def test_what_the_operator_can_mend_pauses(stack: Stack, kind: str, step: str, calls: int) -> None:
    """At once; or, where it might pass, after AGENT_MAX_ATTEMPTS. Finished steps stay."""
    session = stack.session()
    stack.model.fail(kind, match=f"{session.key}/1/{step}")
    task = session.message()["task_id"]
    stack.admin.wait_for(task, "paused")
    assert [request.step for request in session.requests()].count(step) == calls
    status = session.call("get_status")
    assert (status["status"], status["waiting"]["state"]) == ("working", "paused")
    said = {"outage": "overloaded, please try later", "unauthorized": "401: Incorrect API key."}
    assert said[kind] in status["waiting"]["reason"]

    stack.model.mend()
    stack.admin.resume(task)
    assert session.wait_idle()["status"] == "completed"
    assert "waiting" not in session.call("get_status")
    served = [request.step for request in session.requests() if request.status == "completed"]
    assert sorted(served) == sorted(["plan", *["write"] * len(session.files()), "review"])
