"""The pattern of the guide, in this repository's agent: one message interrupts another.

One session is watched by most probes: a message, another in the middle of its task, a third in the
middle of the second's.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.claims.lab import CANCELLED, Lab
from tests.claims.probe import Observation, holds_if, probe
from tests.stack import Session, Stack
from workbench import journal_rows, wait_until


@dataclass
class Watched:
    """The session, the ids of its messages and tasks, and its state after each message."""

    session: Session
    replies: list[dict[str, Any]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    states: list[dict[str, str]] = field(default_factory=list)
    running: list[str] = field(default_factory=list)

    def task(self, turn: int) -> str:
        return str(self.replies[turn - 1]["task_id"])

    def open_turn(self, turn: int) -> dict[str, Any]:
        """What the session's state says of a turn while its task runs."""
        (found,) = json.loads(self.states[turn - 1]["session"])["open"]
        assert found["turn"] == turn
        return dict(found)


@pytest.fixture(scope="module")
def watched(lab: Lab, pattern: Stack) -> Watched:
    seen = Watched(session := pattern.session())
    for turn, text in enumerate(("Write a to-do CLI", "With Flask", "With FastAPI"), 1):
        seen.replies.append(session.message(text))
        id = pattern.ingress.last_invocation_id
        assert id is not None
        seen.messages.append(id)
        seen.running.append(lab.row(seen.task(turn))["status"])
        seen.states.append(lab.state("CodingAgent", session.key))
        if turn < 3:
            session.wait_streaming(turn, "write")
    session.wait_idle()
    wait_until(
        lambda: lab.children(seen.task(3), "/task_finished"), what="the report of the last task"
    )
    return seen


def nth(turn: int) -> str:
    return ("first", "second", "third")[turn - 1]


@probe("session-is-a-virtual-object")
def test_virtual_object(pattern: Stack) -> Observation:
    kind = pattern.admin.get("/services/CodingAgent")["ty"]
    one, other = pattern.session(), pattern.session()
    one.message()
    turns = len(one.turns()), len(other.turns())
    one.stop()
    return holds_if(
        kind == "VirtualObject" and turns == (1, 0),
        f"a {kind}; of two sessions one is sent a message, and they have {turns[0]} and {turns[1]} "
        "turns",
    )


@probe("session-holds-history-and-task-id")
def test_state(watched: Watched) -> Observation:
    turn = watched.open_turn(1)
    text, id = turn["content"] == "Write a to-do CLI", turn["task_id"] == watched.task(1)
    return holds_if(
        text and id,
        f"in the state while the task runs: {'the message' if text else 'no message'}, "
        f"{'the ID of its task' if id else 'no ID'}",
    )


@probe("task-is-a-long-running-service")
def test_service(pattern: Stack, watched: Watched) -> Observation:
    kind = pattern.admin.get("/services/CodingTask")["ty"]
    at_work = set(watched.running) <= {"ready", "running"}
    return holds_if(
        kind == "Service" and at_work,
        f"a {kind}; its handler is {'at work' if at_work else 'over'} after the reply",
    )


@probe("message-loads-history")
def test_history(lab: Lab, watched: Watched) -> Observation:
    read = "Command: GetLazyState" in lab.entries(watched.messages[1])
    given = journal_rows(lab.admin, watched.task(2))[0]["result"]
    said = [each["content"] for each in json.loads(given)["brief"]["conversation"]]
    loaded = said[0] == "Write a to-do CLI" and said[-1] == "With Flask"
    return holds_if(
        read and loaded,
        f"the conversation, {len(said)} messages of it, is {'' if read else 'not '}loaded from the "
        f"state by message, and {'' if loaded else 'not '}given to the task as its input",
    )


@probe("new-message-cancels-the-running-task")
def test_cancels(lab: Lab, watched: Watched) -> Observation:
    named = watched.replies[1]["interrupted"] == watched.task(1)
    outcome = lab.outcome(watched.task(1))
    return holds_if(
        named and outcome == CANCELLED,
        f"the task of the message before: {outcome}; the reply "
        f"{'names' if named else 'does not name'} it",
    )


@probe("new-message-waits-for-cleanup")
def test_waits(lab: Lab, watched: Watched) -> Observation:
    old, new = watched.task(1), watched.task(2)
    (row,) = lab.admin.query(
        "SELECT max(old.completed_at) <= min(new.created_at) AS in_order "
        "FROM sys_invocation old, sys_invocation new "
        f"WHERE (old.id = '{old}' OR old.invoked_by_id = '{old}' "
        "AND old.target LIKE 'CodingTask/write_file') "
        f"AND new.id = '{new}'"
    )
    waited_for = lab.how(old, "/rollback") == ["call"]
    return holds_if(
        row["in_order"] and waited_for,
        f"the old task and its files were over {'before' if row['in_order'] else 'after'} the new "
        f"task was created; its rollback, sent {', '.join(lab.how(old, '/rollback'))}, is "
        f"{'' if waited_for else 'not '}waited for",
    )


@probe("new-task-is-sent")
def test_sends(lab: Lab, watched: Watched) -> Observation:
    targets = {lab.row(watched.task(turn))["target"] for turn in (1, 2, 3)}
    different = len({watched.task(turn) for turn in (1, 2, 3)})
    return holds_if(
        targets == {"CodingTask/run_task"} and different == 3,
        f"three messages, {different} invocations of {', '.join(sorted(targets))}",
    )


@probe("new-task-id-is-persisted")
def test_persists(watched: Watched) -> Observation:
    kept = watched.open_turn(2)["task_id"] == watched.task(2)
    used = watched.replies[2]["interrupted"] == watched.task(2)
    return holds_if(
        kept and used,
        f"the second task's ID is {'in the state' if kept else 'not in the state'}, and the third "
        f"message {'interrupts' if used else 'does not interrupt'} that task",
    )


@probe("task-catches-notifies-and-re-raises")
def test_notifies(lab: Lab, watched: Watched) -> Observation:
    entries = lab.entries(watched.task(1))
    after = entries[entries.index("Notification: Signal") :]
    last = entries[-1]
    sent = "Command: OneWayCall" in after and lab.how(watched.task(1), "/rollback") == ["one-way"]
    reports = len(lab.children(watched.task(1), "/task_finished"))
    outcome = lab.outcome(watched.task(1))
    return holds_if(
        sent and reports == 1 and last == "Command: Output" and outcome == CANCELLED,
        f"after the signal a rollback of its files is {'sent one-way' if sent else 'not sent'}, "
        f"and {reports or 'no'} report to the session, which is attached; then the task ends "
        f"{outcome}",
    )


@probe("recorded-as-cancelled")
def test_recorded(lab: Lab, watched: Watched) -> Observation:
    row = lab.row(watched.task(1))
    columns = row["status"], row["completion_result"], row["completion_failure"]
    return holds_if(row["status"] == "cancelled", f"in sys_invocation: {' · '.join(columns)}")


@probe("interruptions-one-at-a-time")
def test_one_at_a_time(pattern: Stack) -> Observation:
    session = pattern.session()
    with ThreadPoolExecutor(5) as pool:
        replies = list(pool.map(lambda n: session.message(f"Version {n}"), range(5)))
    session.stop()
    replies.sort(key=lambda reply: int(reply["turn"]))
    chain = [reply["interrupted"] for reply in replies]
    expected = [None, *(reply["task_id"] for reply in replies[:-1])]
    return holds_if(
        chain == expected,
        f"five messages at once: {'each' if chain == expected else 'not each'} interrupts the task "
        "of the one before",
    )


@probe("happy-path-gives-one-response")
def test_happy_path(pattern: Stack) -> Observation:
    session = pattern.session()
    session.message()
    turn = session.wait_idle()
    answers = [said for said in session.call("get_history") if said["role"] == "assistant"]
    return holds_if(
        turn["status"] == "completed" and len(answers) == 1,
        f"one message, one turn, {turn['status']}, {len(answers)} answer",
    )


@probe("second-message-interrupts-the-first")
def test_interruption(watched: Watched) -> Observation:
    statuses = watched.session.statuses()
    return holds_if(
        statuses == ["interrupted", "interrupted", "completed"],
        f"three messages, each before the task of the one before it is done: {', '.join(statuses)}",
    )
