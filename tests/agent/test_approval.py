"""A plan that waits for a human's yes: one answer counts, the first, for one plan of one turn."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.stack import IngressError, Session, Stack
from workbench import wait_until


def _ask(session: Session, content: str = "Write a to-do CLI", plan: int = 1) -> dict[str, Any]:
    """Send a message whose plan has to be approved, and wait until it asks for that."""
    accepted: dict[str, Any] = session.call("message", {"content": content, "approve": True})
    _wait_asked(session, plan)
    return accepted


def _wait_asked(session: Session, plan: int = 1) -> dict[str, Any]:
    session.stack.model.set(tokens_per_second=10_000)

    def asked() -> dict[str, Any] | None:
        return next((turn for turn in session.turns() if turn.get("approval") == plan), None)

    turn: dict[str, Any] = wait_until(asked, what=f"plan {plan} to wait for a yes")
    return turn


def _refused(session: Session, **approval: Any) -> bool:
    """Whether an answer to a plan comes too late, too early, or is meant for another."""
    with pytest.raises(IngressError, match="is not waiting for approval") as caught:
        session.call("approve", {"yes": True, **approval})
    return caught.value.status_code == 409


def _written(session: Session) -> list[str]:
    return [request.label for request in session.requests() if request.step != "plan"]


def test_nothing_is_written_before_a_yes(stack: Stack) -> None:
    session = stack.session()
    task = _ask(session)["task_id"]
    turn = session.turns()[0]
    assert turn["status"] == "running"
    assert "todo.py" in turn["plan"]
    assert session.call("get_status")["waiting"] == {
        **{"state": "approval", "reason": "Plan 1 waits for a yes.", "until": None}
    }
    assert not _written(session)
    assert not session.has_draft()
    assert _refused(session, turn=2)
    assert _refused(session, turn=1, plan=2)
    assert _refused(session, turn=1, task_id="inv_1")

    yes = {"turn": 1, "task_id": task, "plan": 1, "yes": True}
    stack.model.set(tokens_per_second=100)
    assert session.call("approve", yes) == {"turn": 1, "task_id": task, "plan": 1}
    assert _refused(session, turn=1)  # said twice
    assert session.call("get_status") == {"turn": 1, "status": "working", "task_id": task}
    turn = session.wait_idle()
    assert (turn["status"], turn["error"]) == ("completed", None)
    assert "approval" not in turn
    assert "todo.py" in session.files()
    assert _refused(session, turn=1)  # late


def test_a_no_fails_the_turn_and_the_next_begins(stack: Stack) -> None:
    session = stack.session()
    _ask(session)
    queued = {"content": "Write it with Flask", "when_busy": "enqueue", "approve": True}
    assert session.call("message", queued)["turn"] == 2
    assert _refused(session, turn=2)  # it has not asked yet
    session.call("approve", {"turn": 1, "yes": False})
    turn = _wait_asked(session)
    assert turn["turn"] == 2
    assert "app.py" in turn["plan"]
    first = session.turns()[0]
    assert (first["status"], first["error"]) == ("failed", "The plan was declined.")
    assert "todo.py" in first["plan"]
    assert _refused(session, turn=1)
    assert not _written(session)
    assert session.stop()


def test_an_interruption_withdraws_the_question(stack: Stack) -> None:
    session = stack.session()
    first = _ask(session)["task_id"]
    assert _ask(session, "Write it with Flask")["interrupted"] == first
    # A yes to turn 1 is none to turn 2, which waits.
    assert _refused(session, turn=1)
    assert _refused(session, turn=2, task_id=first)
    assert session.turns()[1]["approval"] == 1
    assert session.stop()
    assert _refused(session, turn=2)
    assert session.statuses() == ["interrupted", "interrupted"]
    assert "todo.py" in session.turns()[0]["plan"]
    assert not _written(session)
    assert session.message("Write it with Flask")["interrupted"] is None
    assert session.wait_idle()["status"] == "completed"  # it was not asked to wait


def test_who_steers_is_shown_another_plan(stack: Stack) -> None:
    """A yes that was meant for the plan before is none for this one."""
    session = stack.session()
    task = _ask(session)["task_id"]
    steer = {"content": "Write it with Flask", "when_busy": "steer", "expected_task_id": task}
    session.call("message", steer)
    assert _refused(session, turn=1, plan=1)
    assert "app.py" in _wait_asked(session, plan=2)["plan"]
    assert _refused(session, turn=1, plan=1)
    assert not _written(session)
    session.call("approve", {"turn": 1, "plan": 2, "yes": True})
    assert session.wait_idle()["status"] == "completed"
    assert "app.py" in session.files()


def test_a_question_that_comes_after_the_steering_is_not_shown(held: Stack) -> None:
    """The task has not heard yet what was said, and asks for a plan that is to be made anew."""
    session = held.session()
    hold = session.hold("ask")
    held.model.set(tokens_per_second=10_000)
    task = session.call("message", {"content": "Write a to-do CLI", "approve": True})["task_id"]
    hold.wait_reached()
    steer = {"content": "Write it with Flask", "when_busy": "steer", "expected_task_id": task}
    session.call("message", steer)
    held.model.set(tokens_per_second=20)
    hold.open()
    asked = f"target = 'CodingAgent/{session.key}/ask_approval' AND status = 'completed'"
    wait_until(lambda: held.count("sys_invocation", asked), what="the first question")
    assert _refused(session, turn=1)
    assert "app.py" in _wait_asked(session, plan=2)["plan"]
    session.stop()


def test_what_was_said_too_late_waits_as_its_turn_did(held: Stack) -> None:
    """It becomes a turn of its own, of which nobody has said that it needs no approval."""
    session = held.session()
    hold = session.hold("commit")
    task = _ask(session)["task_id"]
    session.call("approve", {"turn": 1, "yes": True})
    hold.wait_reached()
    steer = {"content": "Write it with Flask", "when_busy": "steer", "expected_task_id": task}
    session.call("message", steer)
    hold.open()
    assert _wait_asked(session)["turn"] == 2
    assert "app.py" not in session.files()
    session.stop()


def test_it_waits_for_so_long_only(restarted: Callable[..., Stack]) -> None:
    session = restarted(AGENT_APPROVAL_TIMEOUT="0.5").session()
    session.call("message", {"content": "Write a to-do CLI", "approve": True})
    turn = session.wait_idle()
    assert turn["status"] == "failed"
    assert turn["error"] == "The plan was not approved within 0.5 s."
    assert "todo.py" in turn["plan"]
    assert _refused(session, turn=1)


@pytest.mark.parametrize("act", ["kill", "pause", "crash"])
def test_whatever_happens_while_it_waits(held: Stack, act: str) -> None:
    session = held.session()
    task = _ask(session)["task_id"]
    if act == "kill":
        held.admin.kill(task)
        assert _refused(session, turn=1)
        turn = session.wait_idle()
        assert (turn["status"], turn["plan"]) == ("killed", None)
        return
    if act == "crash":
        held.agent.kill()
        held.agent.start()
    else:
        held.admin.pause(task)
        held.admin.wait_for(task, "paused")
        assert session.call("get_status")["waiting"]["state"] == "paused"
    session.call("approve", {"turn": 1, "plan": 1, "yes": True})
    if act == "pause":
        held.admin.wait_for(task, "paused")
        held.admin.resume(task)
    assert session.wait_idle()["status"] == "completed"


def test_who_steers_does_not_say_whether_a_plan_waits(stack: Stack) -> None:
    steer = {"when_busy": "steer", "expected_task_id": "inv_1", "approve": True}
    with pytest.raises(IngressError, match="'approve' goes with a turn") as caught:
        stack.session().call("message", {"content": "Write it with Flask", **steer})
    assert caught.value.status_code == 400
