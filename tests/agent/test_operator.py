"""What an operator may do to a session: whatever it is, the session is whole and answers again."""

import time
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from tests.stack import IngressError, Session, Stack, start_other
from workbench import wait_until
from workbench.clients import AdminError


def test_the_state_of_a_session_is_cleared(stack: Stack) -> None:
    """Its turns begin again at 1, and meet what an earlier turn 1 has left elsewhere."""
    session = stack.session()
    for content in ("Write a to-do CLI", "Write a greeter"):
        session.message(content)
        session.wait_idle()
    state = {"object_key": session.key, "new_state": {}}
    stack.admin.post("/services/CodingAgent/state", state)
    wait_until(lambda: not session.turns(), what="the state to be gone")
    assert session.message("Write it with Flask")["turn"] == 1
    assert session.wait_idle()["status"] == "completed"
    assert "app.py" in session.files()


def test_an_old_message_is_restarted_from_an_entry_of_its_journal(stack: Stack) -> None:
    """Later turns stay as they are, and the session waits no longer than the restarted one lives:
    two minutes, or until it is killed.
    """
    session = stack.session()
    session.message("Write a to-do CLI")
    session.wait_streaming(1, "plan")
    old = stack.ingress.send("CodingAgent", "message", {"content": "two"}, key=session.key)
    stack.admin.wait_for(old, "completed")
    session.stop()
    session.message("Write it with Flask")
    session.wait_idle()
    stack.admin.wait_for(old, "completed")
    wait_until(lambda: not stack.open_invocations(), what="all work to be over")
    before, history = session.turns(), session.call("get_history")
    size = stack.count("sys_journal", f"id = '{old}'")
    assert size > 8
    for index in range(1, size):
        try:
            new = stack.admin.restart_as_new(old, from_index=index)
        except AdminError as refused:
            # Not every entry is one to begin from.
            if refused.status_code >= 500:
                raise
            continue
        row = stack.admin.wait_for(new, "backing-off", "paused", "completed")
        if row["status"] != "completed":
            stack.admin.kill(new)
        stack.admin.wait_for(new, "completed")
        assert (session.turns(), session.call("get_history")) == (before, history), index
    assert session.stop() is None
    assert session.message("Hello")["turn"] == len(before) + 1
    assert session.wait_idle()["status"] == "completed"


def test_a_false_report_closes_nothing(held: Stack) -> None:
    session = held.session()
    task = session.message("false report")["task_id"]
    reports = f"target = 'CodingAgent/{session.key}/task_finished'"
    wait_until(
        lambda: held.count("sys_invocation", f"{reports} AND status = 'completed'"),
        what="the report to be read",
    )
    assert session.statuses() == ["running"]
    assert held.count("sys_invocation", reports) == 1, "it is looked into again and again"
    assert session.stop() == task
    assert session.statuses() == ["interrupted"]


def test_a_task_that_pauses_after_its_report_is_looked_for_less_and_less(held: Stack) -> None:
    session = held.session()
    session.hold("bug")
    session.message("broken after its report")
    reports = f"target = 'CodingAgent/{session.key}/task_finished'"
    when = f"SELECT * FROM sys_invocation WHERE {reports}"
    wait_until(lambda: held.count("sys_invocation", reports) == 4, what="three more looks")
    delays = [
        datetime.fromisoformat(row["scheduled_start_at"])
        - datetime.fromisoformat(row["created_at"])
        for row in held.admin.query(when)
        if "scheduled_start_at" in row  # the first report is not scheduled
    ]
    assert sorted(round(delay.total_seconds()) for delay in delays) == [1, 2, 4]
    session.stop()


@pytest.mark.timeout(120)
def test_more_sessions_at_work_than_slots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server works on 8 invocations of a partition at a time, and who waits is none of them."""
    monkeypatch.setenv("RESTATE_WORKER__INVOKER__CONCURRENT_INVOCATIONS_LIMIT", "8")
    with Stack.running(tmp_path) as stack:
        sessions = [stack.session() for _ in range(12)]
        for session in sessions * 2:
            message = {"content": "Write a greeter"}
            stack.ingress.send("CodingAgent", "message", message, key=session.key)
        for session in sessions:
            begun = partial(_is_at_turn, session, 2)
            wait_until(begun, what="a turn to begin", timeout=40)
        began = time.monotonic()
        sessions[0].stop()
        assert time.monotonic() - began < 10
        for session in sessions:
            session.wait_idle(timeout=40)
        done = {tuple(session.statuses()) for session in sessions[1:]}
        assert done == {("interrupted", "completed")}


def _is_at_turn(session: Session, turn: int) -> bool:
    return bool(session.call("get_status")["turn"] == turn)


def test_the_agent_is_replaced_at_another_address(held: Stack) -> None:
    """What was at work there, with what it has called, is killed after the limit."""
    session = held.session()
    session.message("leafy")
    leaves = "target LIKE 'CodingTask/leaf%' AND status = 'running'"
    wait_until(lambda: held.count("sys_invocation", leaves) == 2, what="both leaves to begin")
    held.agent.kill()
    other = start_other("held", held.restate, held.model, name="other", AGENT_CANCEL_TIMEOUT="2")
    held.admin.register(other.uri, force=True)  # it may have had this address before
    try:
        assert session.call("message", {"content": "Hello"}, timeout=50)["interrupted"]
        assert session.wait_idle(timeout=40)["status"] == "completed"
        assert session.statuses() == ["killed", "completed"]
    finally:
        for row in held.open_invocations():
            held.admin.patch(f"/invocations/{row['id']}/kill", allow=(404, 409))
        other.stop()
        held.restart_agent()


def test_a_session_of_200_turns(stack: Stack) -> None:
    """A message costs what it did at turn 20. But Restate carries 32 MiB in one answer, and would
    try for ever to carry more.
    """
    session = stack.session()
    message = {"content": "\N{GRINNING FACE}" * 32_000}  # 128 kB
    tasks = [session.call("message", message)["task_id"] for _ in range(200)]

    def state_of(turn: int) -> int:
        """How many bytes of state the message of a turn has read and written."""
        sent = f"SELECT invoked_by_id FROM sys_invocation WHERE id = '{tasks[turn - 1]}'"
        where = f"id IN ({sent}) AND entry_type LIKE '%State%'"
        rows = stack.admin.query(f"SELECT sum(raw_length) AS n FROM sys_journal WHERE {where}")
        return int(rows[0]["n"])

    assert 0 < state_of(200) < 1.01 * state_of(20)
    session.stop()
    for handler in ("get_turns", "get_history"):
        with pytest.raises(IngressError, match="The 200 turns of this session do not fit") as said:
            session.call(handler)
        assert said.value.status_code == 413
    assert session.call("get_status") == {"turn": 200, "status": "idle", "task_id": None}
