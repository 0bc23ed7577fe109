"""Each invariant finds what it is there to find: a whole picture, broken in one place at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.stress.faults import Outage
from tests.stress.invariants import violations
from tests.stress.ledger import Deed, Ledger, Sent
from tests.stress.picture import Picture
from workbench import ModelRequest

PLAN = "A to-do list.\n- todo.py: the program\n- test_todo.py: its tests"


def _sent(content: str, at: float, answer: dict[str, Any] | None, mode: str | None = None) -> Sent:
    return Sent(content, mode, None, at, [answer] if answer else [], answered_at=at + 1)


def _answer(turn: int, interrupted: str | None = None) -> dict[str, Any]:
    return {"turn": turn, "task_id": f"task{turn}", "interrupted": interrupted}


def _turn(number: int, content: str, status: str, **more: Any) -> dict[str, Any]:
    return {
        **{"turn": number, "content": content, "status": status, "task_id": f"task{number}"},
        **{"plan": None, "answer": None, "error": None},
        **more,
    }


def _request(number: int, turn: int, status: str, begin: float, end: float) -> ModelRequest:
    return ModelRequest(
        number=number,
        label=f"s/{turn}/plan",
        step="plan",
        status=status,  # type: ignore[arg-type]
        http_status=200,
        prompt_tokens=100,
        completion_tokens=300,
        started_at=begin,
        first_token_at=begin,
        last_token_at=end,
        ended_at=end,
    )


def whole() -> Picture:
    """Three turns: one interrupted, one steered and completed, one rolled back by nobody."""
    sent = [
        _sent("one", 10, _answer(1)),
        _sent("two", 20, _answer(2, interrupted="task1")),
        _sent("left", 24, _answer(2), "steer"),
        _sent("refused", 25, None, "reject"),
        _sent("three", 30, _answer(3), "enqueue"),
    ]
    sent[3].refusals = [(409, "The session is busy.")]
    turns = [
        _turn(1, "one", "interrupted", plan=PLAN),
        _turn(2, "two", "completed", plan=PLAN, answer="Done."),
        _turn(3, "three", "failed", error="No."),
    ]
    endings = {"task1": "[409] cancelled", "task2": None, "task3": "[500] No."}
    said = [(1, "one", "[Interrupted]"), (2, "two", "left", "Done."), (3, "three", "[Failed]")]
    return Picture(
        ledger=Ledger(sent=sent, stops=[(40.0, 41.0)], seen={1: dict(turns[0])}),
        turns=turns,
        history=[
            {"turn": turn, "content": each, "role": "assistant" if each == last else "user"}
            for turn, *contents in said
            for last in contents[-1:]
            for each in contents
        ],
        status={"turn": 3, "status": "idle", "task_id": None},
        files={"todo.py": "", "test_todo.py": ""},
        usage={"calls": 3, "prompt_tokens": 100, "completion_tokens": 895},
        draft=False,
        tasks={
            id: {"id": id, "status": "completed", "invoked_by_id": "m", "completion_failure": end}
            for id, end in endings.items()
        },
        requests=[
            _request(1, 1, "hung up", 11, 20.5),
            _request(2, 2, "completed", 21, 28),
            _request(3, 3, "completed", 31, 35),
        ],
    )


def test_a_whole_picture_is_right() -> None:
    assert violations(whole()) == []


def _break(change: Callable[[Picture], object]) -> list[str]:
    picture = whole()
    change(picture)
    return violations(picture)


def _double_a_turn(picture: Picture) -> None:
    picture.turns.append({**picture.turns[2], "turn": 4})


def _reverse(picture: Picture) -> None:
    first, second = picture.ledger.sent[:2]
    first.began_at, first.answered_at, second.began_at, second.answered_at = 20, 21, 10, 11


def _reverse_steering(picture: Picture) -> None:
    picture.ledger.sent.append(_sent("more", 26, _answer(2), "steer"))
    picture.history.insert(3, {"turn": 2, "content": "more", "role": "user"})


def _overlap(picture: Picture) -> None:
    picture.requests[0] = replace(picture.requests[0], ended_at=21.2)


def _late_token(picture: Picture) -> None:
    picture.requests[0] = replace(picture.requests[0], last_token_at=21.1)


def _late_after_stop(picture: Picture) -> None:
    picture.requests[2] = replace(picture.requests[2], last_token_at=41.1, ended_at=41.1)


def _roll_back(picture: Picture) -> None:
    picture.ledger.sent[1].when_busy = "rollback"


def _leave_streaming(picture: Picture) -> None:
    picture.requests[2] = replace(picture.requests[2], ended_at=None, status="streaming")


def _fail_an_attempt(picture: Picture) -> None:
    """A further attempt that was cut, before the call that was completed; not counted."""
    picture.requests.insert(1, _request(4, 2, "cut", 20.9, 20.95))


BREAKAGES: list[tuple[Callable[[Picture], object], str]] = [
    (lambda p: p.ledger.wrong.append("no answer"), "no answer"),
    (lambda p: p.turns.pop(), "'three' was accepted, and is 0 turns"),
    (_double_a_turn, "'three' was accepted, and is 2 turns"),
    (lambda p: p.ledger.sent.pop(0), "'one' is a turn, and nobody sent it"),
    (lambda p: p.turns[1].update(content="refused"), "'refused' was not accepted, and is 1 turn"),
    (lambda p: p.turns[1].update(task_id="other"), "turn 2 is not the one that was answered"),
    (lambda p: p.ledger.sent[0].answers.append(_answer(2)), "answered differently when repeated"),
    (lambda p: p.ledger.sent[1].answers[0].update(interrupted="task2"), "to have interrupted"),
    (lambda p: p.ledger.sent[1].answers[0].update(interrupted="lost"), "to have interrupted"),
    (lambda p: p.ledger.sent[3].refusals.append((500, "Oops")), "'refused' was answered 500"),
    (lambda p: setattr(p.ledger.sent[3], "when_busy", None), "'refused' was answered 409"),
    (_reverse, "'two' was accepted before 'one'"),
    (_reverse_steering, "'left' was accepted before 'more'"),
    (lambda p: p.history.pop(0), "turn 1 is not in the history once"),
    (lambda p: p.history.pop(1), "turn 1 has not one answer"),
    (lambda p: p.history.pop(3), "'left' steered a turn, and is 0 times in the history"),
    (lambda p: p.history.append(p.history[3]), "'left' steered a turn, and is 2 times in the"),
    (
        lambda p: p.history.append({**p.history[3], "content": "refused"}),
        "'refused' is in the history of turn 2, and should not be",
    ),
    (lambda p: p.history.append(p.history[4]), "turn 2 has not one answer"),
    (lambda p: p.history.append({**p.history[4], "turn": 9}), "an answer too many in turn 9"),
    (_roll_back, "turn 1 was rolled back, and its answer is in the history"),
    (lambda p: p.turns[2].update(turn=4), "turns are numbered [1, 2, 4]"),
    (lambda p: p.turns[0].update(status="killed"), "turn 1 is killed, its task task1"),
    (lambda p: p.tasks["task2"].update(status="paused"), "turn 2 is completed, its task task2"),
    (lambda p: p.tasks.pop("task1"), "turn 1 has a task that is not there"),
    (lambda p: p.tasks.update(task9=p.tasks["task1"]), "task task9 belongs to no turn"),
    (lambda p: p.turns[0].update(plan="Another."), "turn 1 was over as"),
    (lambda p: p.turns[1].update(answer=None), "turn 2 is completed without plan or answer"),
    (lambda p: p.turns[1].update(plan="None."), "turn 2 is completed with a plan that names no"),
    (lambda p: p.files.pop("todo.py"), "turn 2 is completed, but ['todo.py'] are not there"),
    (lambda p: p.files.update({"app.py": ""}), "['app.py'] are in the workspace"),
    (lambda p: setattr(p, "draft", True), "a draft is left over"),
    (lambda p: p.status.update(status="working"), "get_status says"),
    (_overlap, "turns 1 and 2 generated at once, for 0.200 s"),
    (_leave_streaming, "the model is still answering s/3/plan"),
    (_late_token, "turn 1 went on for 0.100 s after its interruption"),
    (_late_after_stop, "turn 3 went on for 0.100 s after a stop"),
    (lambda p: p.usage.update(completion_tokens=859), "859 completion tokens are counted; 860 to"),
    (lambda p: p.usage.update(completion_tokens=901), "901 completion tokens are counted; 860 to"),
    (lambda p: p.usage.update(prompt_tokens=99), "99 prompt tokens are counted; 100 to 300"),
    (lambda p: p.usage.update(calls=2), "2 calls are counted; 3 were made"),
    (_fail_an_attempt, "895 completion tokens are counted; 1140 to 1200 were sent"),
]


@pytest.mark.parametrize(("change", "found"), BREAKAGES, ids=[found for _, found in BREAKAGES])
def test_what_is_broken_is_found(change: Callable[[Picture], object], found: str) -> None:
    assert any(found in wrong for wrong in _break(change)), _break(change)


def _kill_the_agent(picture: Picture) -> None:
    picture.outages.append(Outage("agent", 25.0, 26.0))
    picture.usage["completion_tokens"] = 560  # without the second call
    picture.usage["prompt_tokens"] = 0


def _kill_a_step(picture: Picture) -> None:
    picture.ledger.deeds.append(Deed("kill", "CodingTask/write_file", "task2", 25.0))
    picture.usage.update(completion_tokens=560, prompt_tokens=0)


def _kill_a_message(picture: Picture) -> None:
    """It may have become a turn, or not, and its task may be left."""
    picture.ledger.sent[4].answers = []
    picture.ledger.sent[4].refusals = [(409, "killed")]
    picture.ledger.deeds.append(Deed("kill", "CodingAgent/s/message", None, 30.0))
    picture.tasks["task9"] = {**picture.tasks["task1"], "completion_failure": "[409] killed"}


@pytest.mark.parametrize("change", [_kill_the_agent, _kill_a_step, _kill_a_message])
def test_what_nobody_can_know_is_no_violation(change: Callable[[Picture], object]) -> None:
    assert _break(change) == []
