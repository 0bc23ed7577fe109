"""A cancellation that is not honoured ends in a kill, after a time limit that survives crashes."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.agent.stub import Stub, plain
from tests.stack import IngressError, Session, Stack
from workbench import journal_rows, wait_until

Restart = Callable[..., Stack]


def _stubborn(session: Session) -> str:
    """A task at work that will not hear of its cancellation."""
    task: str = session.message("stubborn")["task_id"]
    where = f"id = '{task}' AND entry_type = 'Command: Sleep'"
    wait_until(lambda: session.stack.count("sys_journal", where), what="the task to sleep")
    return task


# A proxy, certificates and a SOCKS package that are not there: none of it is for loopback.
_IN_THE_WAY = {
    "HTTP_PROXY": "http://127.0.0.1:1",
    "HTTPS_PROXY": "http://127.0.0.1:1",
    "ALL_PROXY": "socks5://127.0.0.1:1",
    "SSL_CERT_FILE": "/nothing",
    "NO_PROXY": "",
    "no_proxy": "",
}


def test_a_cancellation_that_is_not_honoured_becomes_a_kill(restarted: Restart) -> None:
    stack = restarted(AGENT_CANCEL_TIMEOUT="1", **_IN_THE_WAY)
    session = stack.session()
    task = _stubborn(session)
    assert session.stop() == task
    (turn,) = session.turns()
    said = "The task did not end within 1 s of its cancellation, and was killed."
    assert (turn["status"], turn["error"]) == ("killed", said)
    assert stack.admin.wait_for(task, "completed")["completion_failure"] == "[409] killed"
    assert session.message("Write it with Flask")["interrupted"] is None
    assert session.wait_idle()["status"] == "completed"


def test_the_limit_survives_a_crash(restarted: Restart) -> None:
    stack = restarted(AGENT_CANCEL_TIMEOUT="4")
    session = stack.session()
    task = _stubborn(session)
    asked = time.monotonic()
    stopping = stack.ingress.send("CodingAgent", "stop", key=session.key)
    sleeps = f"id = '{stopping}' AND entry_type = 'Command: Sleep'"
    # 0.3, 0.6, 1.2 s, and the rest.
    wait_until(lambda: stack.count("sys_journal", sleeps) == 4, what="most of the limit to pass")
    stack.agent.kill()
    stack.agent.start()
    stack.admin.wait_for(stopping, "completed", timeout=30)
    assert time.monotonic() - asked >= 4
    rows: list[dict[str, Any]] = journal_rows(stack.admin, stopping)
    before_the_kill = rows[: [row["name"] for row in rows].index("kill")]
    timers = [int(row["result"].split()[1]) for row in before_the_kill if row["entry"] == "Sleep"]
    # In whole milliseconds, from the clocks of two processes.
    assert sum(timers) == pytest.approx(4000, abs=200), "the limit has begun anew"
    assert stack.ingress.output(stopping) == {"interrupted": task}
    assert session.statuses() == ["killed"]


def test_a_task_that_cannot_be_killed_holds_no_key(restarted: Restart) -> None:
    with Stub(lambda _: plain(401, b"who are you?")) as admin:
        stack = restarted(AGENT_CANCEL_TIMEOUT="0.2", RESTATE_ADMIN_URL=admin.url)
        session = stack.session()
        task = _stubborn(session)
        with pytest.raises(IngressError, match="cannot be killed: 401 who are you") as refused:
            session.stop()
        assert refused.value.status_code == 503
        assert "RESTATE_ADMIN_URL" in refused.value.message
        assert "/kill failed: 401 who are you?" in stack.agent.log_tail(50)
        # The next in the queue is answered.
        waits = session.call("message", {"content": "Hello", "when_busy": "enqueue"}, timeout=10)
        assert waits["turn"] == 2
        stack.admin.kill(task)
        assert session.wait_idle()["status"] == "completed"
        assert session.statuses() == ["killed", "completed"]


def test_a_task_that_is_paused_just_when_it_is_told(restarted: Restart) -> None:
    """Told again it wakes, also where the admin API cannot be asked."""
    stack = restarted(AGENT_MAX_ATTEMPTS="1", RESTATE_ADMIN_URL="http://127.0.0.1:1")
    session = stack.session()
    bug = session.hold("bug")
    task = session.message("broken at once")["task_id"]
    stack.admin.wait_for(task, "paused")
    stopping = stack.ingress.send("CodingAgent", "stop", key=session.key)

    def told_in_vain() -> bool:
        failures = f"id = '{task}' AND event_type = 'Paused'"
        return stack.count("sys_journal_events", failures) >= 2

    wait_until(told_in_vain, what="the task to be paused with its cancellation unheard")
    stack.admin.wait_for(task, "paused")
    bug.open()
    stack.admin.wait_for(stopping, "completed", timeout=20)
    assert stack.ingress.output(stopping) == {"interrupted": task}
    assert session.statuses() == ["interrupted"]
