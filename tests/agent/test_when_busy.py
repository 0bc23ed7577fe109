"""What becomes of the open turns when a message comes: the caller's choice."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.stack import IngressError, Session, Stack
from workbench import wait_until

FLASK = "Write it with Flask"


def _say(session: Session, when_busy: str, content: str = FLASK, **options: Any) -> dict[str, Any]:
    accepted: dict[str, Any] = session.call(
        "message", {"content": content, "when_busy": when_busy, **options}
    )
    return accepted


def _at_work(stack: Stack, step: str) -> tuple[Session, str]:
    """A session whose task is in the middle of a step, and the task's id."""
    session = stack.session()
    task: str = session.message()["task_id"]
    session.wait_streaming(1, step)
    return session, task


def _steer(session: Session, task_id: str, content: str = FLASK) -> dict[str, Any]:
    return _say(session, "steer", content, expected_task_id=task_id)


@pytest.mark.parametrize("step", ["plan", "review"])
def test_rollback_leaves_no_trace(stack: Stack, step: str) -> None:
    """Nor does what was in the queue."""
    session = stack.session()
    session.message("Write a greeter")
    session.wait_idle()
    second = session.message("Write a to-do CLI")
    session.wait_streaming(2, step)
    _say(session, "enqueue")
    assert _say(session, "rollback")["interrupted"] == second["task_id"]
    session.wait_idle()

    assert session.statuses() == ["completed", "interrupted", "interrupted", "completed"]
    assert not session.requests(3), "a superseded turn cost a call"
    said = session.call("get_history")
    who = [(each["role"], each["turn"]) for each in said]
    assert who == [("user", 1), ("assistant", 1), ("user", 4), ("assistant", 4)]
    assert "todo.py" not in session.files()
    # Nor is the model given any of it in a later turn.
    assert _given(stack, session, turn=4) == [each["content"] for each in said[:-1]]


def _given(stack: Stack, session: Session, turn: int) -> list[str]:
    """The conversation that the task of a turn began with: its argument, or a signal."""
    task = session.turns()[turn - 1]["task_id"]
    rows = stack.admin.query(f"SELECT raw FROM sys_journal WHERE id = '{task}' ORDER BY index")
    found = [bytes.fromhex(row["raw"]).decode(errors="replace") for row in rows]
    (text,) = [each for each in found if '"conversation"' in each]
    brief = json.JSONDecoder().raw_decode(text[text.index('{"conversation"') :])[0]
    return [message["content"] for message in brief["conversation"]]


def test_a_queued_turn_begins_when_the_one_at_work_is_over(stack: Stack) -> None:
    session, first = _at_work(stack, "write")
    stack.model.set(tokens_per_second=10)  # it is at work until all have come
    queued = [_say(session, "enqueue", content) for content in (FLASK, "Write a greeter")]
    assert [each["turn"] for each in queued] == [2, 3]
    assert all(each["interrupted"] is None for each in queued)
    status = session.call("get_status")
    assert status == {"turn": 1, "status": "working", "task_id": first}
    assert not session.requests(2), "a queued turn has called the model"
    said = [(each["role"], each["content"]) for each in session.call("get_history")][:3]
    unanswered = ("assistant", "[Not answered yet.]")
    assert said == [("user", "Write a to-do CLI"), unanswered, ("user", FLASK)]

    session.wait_idle()
    assert session.statuses() == ["completed"] * 3
    for old, new in ((1, 2), (2, 3)):
        ended = max(request.ended_at or 0 for request in session.requests(old))
        assert ended <= min(request.started_at for request in session.requests(new))
    # Each saw what came of the ones before it.
    turns = session.turns()
    assert _given(stack, session, turn=3) == [
        *(turns[0]["content"], turns[0]["answer"], turns[1]["content"], turns[1]["answer"]),
        turns[2]["content"],
    ]


@pytest.mark.parametrize(("turn", "action"), [(1, "cancel"), (2, "cancel"), (3, "kill")])
def test_an_operator_ends_a_task_in_the_queue(stack: Stack, turn: int, action: str) -> None:
    session, first = _at_work(stack, "plan")
    tasks = [first] + [_say(session, "enqueue")["task_id"] for _ in range(3)]
    getattr(stack.admin, action)(tasks[turn - 1])
    stack.model.set(tokens_per_second=10_000)
    stack.admin.wait_for(tasks[-1], "completed", timeout=30)  # though nobody looks at the session
    ended = {"cancel": "interrupted", "kill": "killed"}[action]
    expected = [ended if n == turn else "completed" for n in range(1, 5)]
    wait_until(lambda: session.statuses() == expected, what=f"the turns to be {expected}")
    session.wait_no_draft()


def test_a_burst_costs_one_model_call(stack: Stack) -> None:
    session, task = _at_work(stack, "plan")
    # They wait together in the queue of the key; each finds the task of the one before not begun.
    with ThreadPoolExecutor(10) as pool:
        messages = pool.map(lambda n: session.message(f"Write a to-do CLI, {n}"), range(10))
    accepted = sorted(messages, key=lambda answer: int(answer["turn"]))
    session.wait_idle()
    assert session.statuses() == ["interrupted"] * 10 + ["completed"]
    assert [answer["turn"] for answer in accepted] == list(range(2, 12))
    tasks = [task, *(answer["task_id"] for answer in accepted)]
    assert [answer["interrupted"] for answer in accepted] == tasks[:-1]
    plans = [request for turn in range(2, 11) for request in session.requests(turn)]
    assert len(plans) <= 2, f"{len(plans)} superseded turns called the model"


def test_the_queue_has_an_end(stack: Stack) -> None:
    session, _ = _at_work(stack, "plan")
    stack.model.set(tokens_per_second=2)  # the first turn is still at work when the last has come
    for _ in range(19):
        _say(session, "enqueue")
    with pytest.raises(IngressError, match="20 turns of this session are open") as refused:
        _say(session, "enqueue")
    assert refused.value.status_code == 429
    session.stop()


def test_reject_names_the_task_at_work(stack: Stack) -> None:
    session, task = _at_work(stack, "plan")
    with pytest.raises(IngressError) as refused:
        _say(session, "reject")
    assert refused.value.status_code == 409
    assert refused.value.message == f"The session is busy: task {task} is at work on turn 1."
    assert refused.value.metadata == {"task_id": task}
    assert session.wait_idle()["status"] == "completed"
    assert session.statuses() == ["completed"]


@pytest.mark.parametrize("step", ["plan", "write", "review"])
def test_steering_is_taken_at_the_next_step_boundary(stack: Stack, step: str) -> None:
    session, task = _at_work(stack, step)
    assert _steer(session, task) == {"turn": 1, "task_id": task, "interrupted": None}

    assert session.wait_idle()["status"] == "completed"
    (turn,) = session.turns()
    assert turn["content"] == "Write a to-do CLI"
    assert [(each["role"], each["content"]) for each in session.call("get_history")] == [
        ("user", f"Write a to-do CLI\n\n{FLASK}"),
        ("assistant", turn["answer"]),
    ]
    # What was written before is not kept beside what was written instead.
    assert "app.py" in session.files()
    assert "todo.py" not in session.files()
    steps = [request.step for request in session.requests()]
    assert steps.count("plan") == 2
    assert steps.count("review") == (2 if step == "review" else 1)


def test_who_cannot_be_steered(stack: Stack) -> None:
    """A task that is over; and one that was steered ten times."""
    session, first = _at_work(stack, "plan")
    session.stop()
    second = session.message()["task_id"]
    session.wait_streaming(2, "plan")
    with pytest.raises(IngressError, match="No open turn of this session has task") as no:
        _steer(session, first)
    assert no.value.status_code == 409
    assert first in no.value.message
    for number in range(10):
        _steer(session, second, f"{number}")
    with pytest.raises(IngressError, match="was steered 10 times") as no:
        _steer(session, second)
    assert no.value.status_code == 429
    session.stop()


def test_steering_after_the_last_step_becomes_the_next_turn(held: Stack) -> None:
    session = held.session()
    commit = session.hold("commit")
    task = session.message("Write a to-do CLI")["task_id"]
    held.model.set(tokens_per_second=10_000)
    commit.wait_reached()
    assert _steer(session, task)["turn"] == 1
    commit.open()
    wait_until(lambda: len(session.turns()) == 2, what="the next turn")
    session.wait_idle()
    assert session.statuses() == ["completed"] * 2
    assert [turn["content"] for turn in session.turns()] == ["Write a to-do CLI", FLASK]
    assert {"todo.py", "app.py"} <= set(session.files())
