"""What becomes of the open turns when a message comes: the caller's choice."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.stack import IngressError, Session, Stack
from workbench import wait_until

STEPS = ["plan", "write", "review"]
FLASK = "Write it with Flask"


def _say(session: Session, when_busy: str, content: str = FLASK, **options: Any) -> dict[str, Any]:
    accepted: dict[str, Any] = session.call(
        "message", {"content": content, "when_busy": when_busy, **options}
    )
    return accepted


def _steer(session: Session, task_id: str, content: str = FLASK) -> dict[str, Any]:
    return _say(session, "steer", content, expected_task_id=task_id)


@pytest.mark.parametrize("when_busy", ["interrupt", "rollback", "enqueue", "reject"])
def test_an_idle_session_begins_a_turn(stack: Stack, when_busy: str) -> None:
    session = stack.session()
    accepted = _say(session, when_busy)
    assert (accepted["turn"], accepted["interrupted"]) == (1, None)
    assert session.wait_idle()["status"] == "completed"
    assert "app.py" in session.files()


@pytest.mark.parametrize("step", STEPS)
def test_rollback_leaves_no_trace(stack: Stack, step: str) -> None:
    session = stack.session()
    session.message("Write a greeter")
    session.wait_idle()
    second = session.message("Write a to-do CLI")
    session.wait_streaming(2, step)
    assert _say(session, "rollback")["interrupted"] == second["task_id"]
    session.wait_idle()

    assert session.statuses() == ["completed", "interrupted", "completed"]
    said = session.call("get_history")
    assert [(each["role"], each["turn"]) for each in said] == [
        ("user", 1),
        ("assistant", 1),
        ("user", 3),
        ("assistant", 3),
    ]
    assert "todo.py" not in session.files()
    # Nor does the model see any of it in a later turn.
    brief = _brief(stack, session, turn=3)
    assert [message["content"] for message in brief["conversation"]] == [
        each["content"] for each in said[:-1]
    ]


def _brief(stack: Stack, session: Session, turn: int) -> dict[str, Any]:
    """What the task of a turn was given to work on."""
    task = session.turns()[turn - 1]["task_id"]
    (begin_turn,) = stack.children(task, "CodingAgent/%/begin_turn")
    brief: dict[str, Any] = stack.ingress.output(begin_turn)
    return brief


@pytest.mark.parametrize("step", STEPS)
def test_a_queued_turn_begins_when_the_one_at_work_is_over(stack: Stack, step: str) -> None:
    session = stack.session()
    first = session.message("Write a to-do CLI")
    session.wait_streaming(1, step)
    queued = [_say(session, "enqueue", content) for content in (FLASK, "Write a greeter")]
    assert [each["turn"] for each in queued] == [2, 3]
    assert all(each["interrupted"] is None for each in queued)
    status = session.call("get_status")
    assert status == {"turn": 1, "status": "working", "task_id": first["task_id"]}
    assert not session.requests(2), "a queued turn has called the model"

    session.wait_idle()
    assert session.statuses() == ["completed"] * 3
    for old, new in ((1, 2), (2, 3)):
        ended = max(request.ended_at or 0 for request in session.requests(old))
        assert ended <= min(request.started_at for request in session.requests(new))
    # Each saw what came of the ones before it.
    turns = session.turns()
    assert [message["content"] for message in _brief(stack, session, turn=3)["conversation"]] == [
        *(turns[0]["content"], turns[0]["answer"], turns[1]["content"], turns[1]["answer"]),
        turns[2]["content"],
    ]


@pytest.mark.parametrize("action", ["cancel", "kill"])
@pytest.mark.parametrize("turn", [1, 2, 3])
def test_an_operator_ends_a_task_in_the_queue(stack: Stack, action: str, turn: int) -> None:
    session = stack.session()
    tasks = [session.message()["task_id"]]
    session.wait_streaming(1, "plan")
    tasks += [_say(session, "enqueue")["task_id"] for _ in range(3)]
    getattr(stack.admin, action)(tasks[turn - 1])
    session.wait_idle()
    ended = {"cancel": "interrupted", "kill": "killed"}[action]
    expected = [ended if n == turn else "completed" for n in range(1, 5)]
    wait_until(lambda: session.statuses() == expected, what=f"the turns to be {expected}")
    session.wait_no_draft()


@pytest.mark.parametrize("when_busy", ["interrupt", "rollback"])
def test_an_interruption_ends_the_whole_queue(stack: Stack, when_busy: str) -> None:
    session = stack.session()
    first = session.message()
    session.wait_streaming(1, "write")
    for _ in range(3):
        _say(session, "enqueue")
    assert _say(session, when_busy)["interrupted"] == first["task_id"]
    session.wait_idle()
    assert session.statuses() == ["interrupted"] * 4 + ["completed"]
    assert all(not session.requests(turn) for turn in (2, 3, 4)), "a superseded turn cost a call"
    assert len(session.call("get_history")) == (2 if when_busy == "rollback" else 10)


def test_stop_ends_the_whole_queue(stack: Stack) -> None:
    session = stack.session()
    first = session.message()
    session.wait_streaming(1, "plan")
    _say(session, "enqueue")
    assert session.stop() == first["task_id"]
    assert session.statuses() == ["interrupted"] * 2
    assert not session.requests(2)


def test_a_burst_costs_one_model_call(stack: Stack) -> None:
    session = stack.session()
    session.message()
    session.wait_streaming(1, "plan")
    # They wait together in the queue of the key; each finds the task of the one before not begun.
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda n: session.message(f"Write a to-do CLI, {n}"), range(10)))
    session.wait_idle()
    assert session.statuses() == ["interrupted"] * 10 + ["completed"]
    plans = [request for turn in range(2, 11) for request in session.requests(turn)]
    assert len(plans) <= 2, f"{len(plans)} superseded turns called the model"


def test_the_queue_has_an_end(stack: Stack) -> None:
    session = stack.session()
    stack.model.set(tokens_per_second=2)  # the first turn is still at work when the last has come
    session.message()
    session.wait_streaming(1, "plan")
    for _ in range(19):
        _say(session, "enqueue")
    with pytest.raises(IngressError, match="20 turns of this session are open") as refused:
        _say(session, "enqueue")
    assert refused.value.status_code == 429
    session.stop()


def test_reject_names_the_task_at_work(stack: Stack) -> None:
    session = stack.session()
    task = session.message()["task_id"]
    session.wait_streaming(1, "plan")
    with pytest.raises(IngressError) as refused:
        _say(session, "reject")
    assert refused.value.status_code == 409
    assert refused.value.message == f"The session is busy: task {task} is at work on turn 1."
    assert refused.value.metadata == {"task_id": task}
    assert session.wait_idle()["status"] == "completed"
    assert session.statuses() == ["completed"]


@pytest.mark.parametrize("step", STEPS)
def test_steering_is_taken_at_the_next_step_boundary(stack: Stack, step: str) -> None:
    session = stack.session()
    first = session.message("Write a to-do CLI")
    session.wait_streaming(1, step)
    assert _steer(session, first["task_id"]) == {**first, "interrupted": None}

    assert session.wait_idle()["status"] == "completed"
    (turn,) = session.turns()
    assert turn["content"] == "Write a to-do CLI"
    assert [(each["role"], each["content"]) for each in session.call("get_history")] == [
        ("user", "Write a to-do CLI"),
        ("user", FLASK),
        ("assistant", turn["answer"]),
    ]
    # What was written before is not kept beside what was written instead.
    assert "app.py" in session.files()
    assert "todo.py" not in session.files()
    steps = [request.step for request in session.requests()]
    assert steps.count("plan") == 2
    assert steps.count("review") == (2 if step == "review" else 1)


def test_steering_twice_is_heard_once(stack: Stack) -> None:
    session = stack.session()
    task = session.message("Write a to-do CLI")["task_id"]
    session.wait_streaming(1, "plan")
    _steer(session, task, "With tests")
    _steer(session, task)
    session.wait_idle()
    assert [request.step for request in session.requests()].count("plan") == 2
    contents = [each["content"] for each in session.call("get_history")]
    assert contents[:3] == ["Write a to-do CLI", "With tests", FLASK]


def test_a_waiting_turn_can_be_steered(stack: Stack) -> None:
    session = stack.session()
    session.message("Write a greeter")
    session.wait_streaming(1, "plan")
    task = _say(session, "enqueue", "Write a to-do CLI")["task_id"]
    assert _steer(session, task)["turn"] == 2
    session.wait_idle()
    assert "app.py" in session.files()
    assert [request.step for request in session.requests(2)].count("plan") == 1


def test_a_task_that_is_over_cannot_be_steered(stack: Stack) -> None:
    session = stack.session()
    first = session.message()["task_id"]
    session.wait_idle()
    second = session.message()["task_id"]
    session.wait_streaming(2, "plan")
    for task in (first, second):
        with pytest.raises(IngressError) as refused:
            _steer(session, task)
        assert refused.value.status_code == 409
        assert f"No open turn of this session has task {task}" in refused.value.message
        session.stop()
    assert session.statuses() == ["completed", "interrupted"]


@pytest.mark.parametrize("action", ["cancel", "kill"])
def test_a_task_that_an_operator_has_ended_cannot_be_steered(stack: Stack, action: str) -> None:
    session = stack.session()
    task = session.message()["task_id"]
    session.wait_streaming(1, "write")
    getattr(stack.admin, action)(task)
    stack.admin.wait_for(task, "completed")
    with pytest.raises(IngressError) as refused:
        _steer(session, task)
    assert refused.value.status_code == 409
    assert len(session.call("get_history")) == 2


def test_steering_ends_somewhere(stack: Stack) -> None:
    session = stack.session()
    task = session.message()["task_id"]
    session.wait_streaming(1, "plan")
    for number in range(10):
        _steer(session, task, f"{number}")
    with pytest.raises(IngressError, match="was steered 10 times") as refused:
        _steer(session, task)
    assert refused.value.status_code == 429
    session.stop()


def test_an_interrupted_turn_keeps_what_it_was_steered_to(stack: Stack) -> None:
    session = stack.session()
    task = session.message("Write a to-do CLI")["task_id"]
    session.wait_streaming(1, "write")
    _steer(session, task)
    session.message("Now with FastAPI")
    session.wait_idle()
    contents = [each["content"] for each in session.call("get_history")]
    assert contents[:2] == ["Write a to-do CLI", FLASK]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"when_busy": "steer"}, "when_busy 'steer' needs 'expected_task_id'"),
        ({"when_busy": "reject", "expected_task_id": "inv_1"}, "goes with when_busy 'steer'"),
        ({"expected_task_id": "inv_1"}, "goes with when_busy 'steer' only"),
    ],
)
def test_steering_and_the_expected_task_go_together(
    stack: Stack, options: dict[str, Any], said: str
) -> None:
    session = stack.session()
    with pytest.raises(IngressError, match=said) as refused:
        session.call("message", {"content": "x", **options})
    assert refused.value.status_code == 400
    assert session.turns() == []
