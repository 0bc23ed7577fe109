"""Each invariant finds what it is there to find: a whole picture, broken in one place at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.stress.faults import Trouble
from tests.stress.invariants import violations
from tests.stress.ledger import Deed, Ledger, Sent, Stopped
from tests.stress.operations import Paused
from tests.stress.picture import Around, Picture
from workbench import ModelRequest
from workbench.scripted_model.answers import PROGRAMS

# What steers the turn that is completed decides what it is about.
TWO, LEFT = "Write a to-do CLI (two)", "Write it with Flask (left)"
PROGRAM = next(program for program in PROGRAMS if program.name == "todo_flask")
PLAN = "\n".join([PROGRAM.summary, *(f"- {path}: {why}" for path, why in PROGRAM.purposes.items())])


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


def _row(target: str, by: str, end: int, failure: str | None = None) -> dict[str, Any]:
    return {
        **{"target": target, "status": "completed", "completion_failure": failure},
        **{"invoked_by_id": by, "created_at": "1970-01-01T00:00:00Z"},
        "completed_at": f"1970-01-01T00:00:{end:02}Z",
    }


def whole() -> Picture:
    """Three turns: one interrupted, one steered and completed, one that the model refused."""
    sent = [
        _sent("one", 10, _answer(1)),
        _sent(TWO, 20, _answer(2, interrupted="task1")),
        _sent(LEFT, 24, _answer(2), "steer"),
        _sent("refused", 25, None, "reject"),
        _sent("three", 30, _answer(3), "enqueue"),
    ]
    sent[3].refusals = [(409, "The session is busy.")]
    turns = [
        _turn(1, "one", "interrupted", plan=PLAN),
        _turn(2, TWO, "completed", plan=PLAN, answer=PROGRAM.answer),
        _turn(3, "three", "failed", error="No."),
    ]
    said = [(1, "one", "[Interrupted]"), (2, f"{TWO}\n\n{LEFT}", "Done."), (3, "three", "[Failed]")]
    run_task = "CodingTask/run_task"
    return Picture(
        key="s",
        ledger=Ledger(sent=sent, stops=[Stopped(40.0, 41.0)], seen={1: dict(turns[0])}),
        turns=turns,
        history=[
            {"turn": turn, "content": content, "role": role}
            for turn, *contents in said
            for role, content in zip(("user", "assistant"), contents, strict=True)
        ],
        status={"turn": 3, "status": "idle", "task_id": None},
        files={path: PROGRAM.read(path) for path in PROGRAM.purposes},
        usage={"calls": 3, "prompt_tokens": 100, "completion_tokens": 895},
        draft=False,
        tasks={
            "task1": _row(run_task, "m1", 20, "[409] cancelled"),
            "task2": _row(run_task, "m2", 29),
            "task3": _row(run_task, "m3", 36, "[500] No."),
        },
        steps={"step1": _row("CodingTask/write_file", "task1", 20, "[409] cancelled")},
        requests=[
            _request(1, 1, "hung up", 11, 20.5),
            _request(2, 2, "completed", 21, 28),
            _request(3, 3, "completed", 31, 35),
        ],
        around=Around([Trouble("bad_request", 31, 36)]),
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
    picture.history[2]["content"] = f"{TWO}\n\nmore\n\n{LEFT}"


def _lose_steering(picture: Picture) -> None:
    picture.history[2]["content"] = TWO


def _double_steering(picture: Picture) -> None:
    picture.history[2]["content"] += f"\n\n{LEFT}"


def _begin_steering_earlier(picture: Picture) -> None:
    picture.turns[0]["content"] = LEFT
    _lose_steering(picture)


def _unsteered(picture: Picture) -> None:
    """It says that it took what it was told, and has built what it was asked first."""
    picture.turns[1].update(plan="A to-do list for the command line", answer="Done.")


def _mix(picture: Picture) -> None:
    """Another program's file, with the right name."""
    picture.files["store.py"] = PROGRAMS[0].read("store.py")


def _pause(target: str, id: str) -> Callable[[Picture], object]:
    return lambda picture: picture.around.paused.append(Paused(id, target, 25.0))


def _uncaused(status: str, failure: str, **around: Any) -> Callable[[Picture], object]:
    """The last turn ends so, and nobody did anything to it."""

    def change(picture: Picture) -> None:
        picture.turns[2].update(status=status)
        picture.tasks["task3"]["completion_failure"] = failure
        picture.around = Around(**around)

    return change


def _interrupt_slowly(picture: Picture) -> None:
    picture.ledger.sent[1].began_at = 11


def _overlap(picture: Picture) -> None:
    picture.requests[0] = replace(picture.requests[0], ended_at=22.2)


def _late_token(picture: Picture) -> None:
    picture.requests[0] = replace(picture.requests[0], last_token_at=22.1)


def _late_after_stop(picture: Picture) -> None:
    picture.requests[2] = replace(picture.requests[2], last_token_at=42.1, ended_at=42.1)


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
    (lambda p: p.turns[2].update(content="three\n\nrefused"), "a turn that holds 'three"),
    (lambda p: p.ledger.sent.pop(0), "'one' is a turn, and nobody sent it"),
    (lambda p: p.turns[1].update(content="refused"), "'refused' was not accepted, and is 1 turn"),
    (lambda p: p.turns[1].update(task_id="other"), "turn 2 is not the one that was answered"),
    (lambda p: p.ledger.sent[0].answers.append(_answer(2)), "answered differently when repeated"),
    (lambda p: p.ledger.sent[1].answers[0].update(interrupted="task2"), "to have interrupted"),
    (lambda p: p.ledger.sent[1].answers[0].update(interrupted="lost"), "to have interrupted"),
    (lambda p: p.ledger.sent[3].refusals.append((500, "Oops")), "'refused' was answered 500"),
    (lambda p: setattr(p.ledger.sent[3], "when_busy", None), "'refused' was answered 409"),
    (_reverse, f"{TWO!r} was accepted before 'one'"),
    (_reverse_steering, f"{LEFT!r} was accepted before 'more'"),
    (lambda p: p.history.pop(0), "turn 1 is not in the history once"),
    (lambda p: p.history.pop(1), "turn 1 has not one answer"),
    (_lose_steering, f"{LEFT!r} steered a turn, and is 0 times in the history"),
    (_double_steering, f"{LEFT!r} steered a turn, and is 2 times in the history"),
    (_begin_steering_earlier, f"{LEFT!r} steered turn 2, and is turn 1"),
    (
        lambda p: p.history[2].update(content=f"{TWO}\n\n{LEFT}\n\nrefused"),
        "'refused' is in the history of turn 2, and should not be",
    ),
    (lambda p: p.history.pop(3), "two user entries in a row"),
    (lambda p: p.history.append(p.history[3]), "turn 2 has not one answer"),
    (lambda p: p.history.append({**p.history[3], "turn": 9}), "an answer too many in turn 9"),
    (_roll_back, "turn 1 was rolled back, and its answer is in the history"),
    (lambda p: p.turns[2].update(turn=4), "turns are numbered [1, 2, 4]"),
    (lambda p: p.turns[0].update(status="killed"), "turn 1 is killed, its task task1"),
    (lambda p: p.tasks["task2"].update(status="paused"), "turn 2 is completed, its task task2"),
    (lambda p: p.tasks.pop("task1"), "turn 1 has a task that is not there"),
    (lambda p: p.tasks.update(task9=p.tasks["task1"]), "task task9 belongs to no turn"),
    (lambda p: p.turns[0].update(plan="Another."), "turn 1 was over as"),
    (lambda p: p.tasks["task1"].update(completed_at="1970-01-01T00:00:22Z"), "run_task of turn 1"),
    (lambda p: p.steps["step1"].update(completed_at="1970-01-01T00:00:22Z"), "write_file of turn"),
    (_interrupt_slowly, f"{TWO!r} was answered after 10.0 s"),
    (lambda p: p.turns[1].update(answer=None), "turn 2 is completed with a plan or an answer of"),
    (lambda p: p.turns[1].update(plan="None."), "turn 2 is completed with a plan or an answer of"),
    (_unsteered, "turn 2 is completed with a plan or an answer of something else"),
    (lambda p: p.files.pop("app.py"), "nothing should not be as it is, ['app.py'] is missing"),
    (lambda p: p.files.update({"more.py": ""}), "['more.py'] should not be as it is, nothing"),
    (_mix, "['store.py'] should not be as it is, ['store.py'] is missing"),
    (_uncaused("interrupted", "[409] cancelled"), "turn 3 is interrupted without a cause"),
    (_uncaused("killed", "[409] killed"), "turn 3 is killed without a cause"),
    (_uncaused("failed", "[500] No."), "turn 3 is failed without a cause"),
    (
        _uncaused("failed", "[500] No.", troubles=[Trouble("outage", 31, 36)]),
        "turn 3 is failed without a cause",
    ),
    (_pause("CodingTask/run_task", "task2"), "run_task task2 was paused without a cause"),
    (_pause("CodingTask/write_file", "step1"), "write_file step1 was paused without a cause"),
    (_pause("CodingAgent/s/message", "m1"), "message m1 was paused without a cause"),
    (lambda p: setattr(p, "draft", True), "a draft is left over"),
    (lambda p: p.status.update(status="working"), "get_status says"),
    (_overlap, "turns 1 and 2 generated at once, for 1.200 s"),
    (_leave_streaming, "the model is still answering s/3/plan"),
    (_late_token, "turn 1 went on for 1.100 s after its interruption"),
    (_late_after_stop, "turn 3 went on for 1.100 s after a stop"),
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
    picture.around.troubles.append(Trouble("agent", 25.0, 26.0))
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


def _kill_a_task(picture: Picture) -> None:
    """Perhaps just behind its commit."""
    picture.ledger.deeds.append(Deed("kill", "CodingTask/run_task", "task2", 28.0))
    picture.turns[1].update(status="killed", plan=None, answer=None)
    picture.tasks["task2"]["completion_failure"] = "[409] killed"


def _kill_a_task_early(picture: Picture) -> None:
    _kill_a_task(picture)
    picture.files.clear()


def _steer_too_late(picture: Picture) -> None:
    """What the second turn did not take is the third."""
    picture.ledger.sent[4].when_busy = "steer"
    picture.ledger.sent[4].answers = [_answer(2)]


def _operate_on_a_turn(picture: Picture) -> None:
    _uncaused("interrupted", "[409] cancelled")(picture)
    picture.ledger.deeds.append(Deed("cancel", "CodingTask/run_task", "task3", 32.0))


def _stop_a_turn(picture: Picture) -> None:
    _uncaused("interrupted", "[409] cancelled")(picture)
    picture.ledger.stops[0] = Stopped(35.0, 37.0, "task3")


def _stop_without_an_answer(picture: Picture) -> None:
    _uncaused("interrupted", "[409] cancelled")(picture)
    picture.ledger.stops[0] = Stopped(35.0)


def _stop_a_turn_that_does_not_end(picture: Picture) -> None:
    _uncaused("killed", "[409] killed", cancel_timeout=5.0)(picture)
    picture.ledger.stops[0] = Stopped(31.0, 37.0, "task3")


def _interrupt_what_is_paused(picture: Picture) -> None:
    _interrupt_slowly(picture)
    picture.ledger.deeds.append(Deed("pause", "CodingTask/run_task", "task1", 11.5, "task1"))


def _pause_a_step(picture: Picture) -> None:
    picture.ledger.deeds.append(Deed("pause", "CodingTask/write_file", "task1", 24.0, "step1"))
    _pause("CodingTask/write_file", "step1")(picture)


def _pause_in_vain(picture: Picture) -> None:
    """The only attempt of its call was cut off."""
    picture.around.attempts = 1
    _pause("CodingTask/run_task", "task1")(picture)


NO_VIOLATIONS = [
    *(_kill_the_agent, _kill_a_step, _kill_a_message, _kill_a_task, _kill_a_task_early),
    *(_steer_too_late, _operate_on_a_turn, _stop_a_turn, _stop_without_an_answer),
    *(_stop_a_turn_that_does_not_end, _pause_a_step, _pause_in_vain),
    _interrupt_what_is_paused,
]


@pytest.mark.parametrize("change", NO_VIOLATIONS)
def test_what_has_a_cause_or_nobody_can_know_is_no_violation(
    change: Callable[[Picture], object],
) -> None:
    assert _break(change) == []
