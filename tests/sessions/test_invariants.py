"""Each invariant finds what it is there to find: a whole session, broken in one place at a time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.sessions import invariants, our_agent
from tests.sessions.log import Action, Fault, Log, Message, Paused, Stop
from tests.sessions.oracle import wrong_with
from tests.sessions.our_agent import Left, wrong_with_what_is_left
from tests.sessions.snapshot import Snapshot
from workbench import ModelRequest
from workbench.scripted_model.answers import GREETER, PROGRAMS

ROOT = Path(__file__).parents[2]

# What steers the turn that is completed decides what it is about.
TWO, LEFT = "Write a to-do CLI (two)", "Write it with Flask (left)"
PROGRAM = next(program for program in PROGRAMS if program.name == "todo_flask")
PLAN = "\n".join([PROGRAM.summary, *(f"- {path}: {why}" for path, why in PROGRAM.purposes.items())])


def _message(
    content: str, at: float, answer: dict[str, Any] | None, mode: str | None = None
) -> Message:
    return Message(content, mode, None, at, [answer] if answer else [], answered_at=at + 1)


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


def _row(target: str, end: int, failure: str | None = None) -> dict[str, Any]:
    return {
        **{"target": target, "status": "completed", "completion_failure": failure},
        "created_at": "1970-01-01T00:00:00Z",
        "completed_at": f"1970-01-01T00:00:{end:02}Z",
    }


@dataclass
class Seen(Snapshot):
    """A session, and what it has left."""

    left: Left

    def violations(self) -> list[str]:
        return [*wrong_with(self), *wrong_with_what_is_left(self, self.left)]


def whole() -> Seen:
    """Three turns: one interrupted, one steered and completed, one that the model refused."""
    sent = [
        _message("one", 10, _answer(1)),
        _message(TWO, 20, _answer(2, interrupted="task1")),
        _message(LEFT, 24, _answer(2), "steer"),
        _message("refused", 25, None, "reject"),
        _message("three", 30, _answer(3), "enqueue"),
    ]
    sent[3].refusals = [(409, "The session is busy.")]
    turns = [
        _turn(1, "one", "interrupted", plan=PLAN),
        _turn(2, TWO, "completed", plan=PLAN, answer=PROGRAM.answer),
        _turn(3, "three", "failed", error="No."),
    ]
    said = [
        (1, "one", f"[Interrupted] {PLAN}"),
        (2, f"{TWO}\n\n{LEFT}", PROGRAM.answer),
        (3, "three", "[Failed]"),
    ]
    run_task = "CodingTask/run_task"
    return Seen(
        session="s",
        log=Log(
            messages=sent,
            stops=[Stop(40.0, 41.0)],
            faults=[Fault("bad_request", 31, 36)],
            seen={1: dict(turns[0])},
        ),
        turns=turns,
        history=[
            {"turn": turn, "content": content, "role": role}
            for turn, *contents in said
            for role, content in zip(("user", "assistant"), contents, strict=True)
        ],
        status={"turn": 3, "status": "idle", "task_id": None},
        tasks={
            "task1": _row(run_task, 20, "[409] cancelled"),
            "task2": _row(run_task, 29),
            "task3": _row(run_task, 36, "[500] No."),
        },
        steps={"step1": {**_row("CodingTask/write_file", 20, "[409] cancelled"), "task": "task1"}},
        requests=[
            _request(1, 1, "hung up", 11, 20.5),
            _request(2, 2, "completed", 21, 28),
            _request(3, 3, "completed", 31, 35),
        ],
        left=Left(
            files={path: PROGRAM.read(path) for path in PROGRAM.purposes},
            usage={"calls": 3, "prompt_tokens": 100, "completion_tokens": 895},
            draft=False,
        ),
    )


def test_the_oracle_knows_nothing_of_our_agent() -> None:
    code = "import sys, tests.sessions.oracle; print(*(name.split('.')[0] for name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "tests" in loaded.stdout.split()
    assert "agent" not in loaded.stdout.split()


def test_a_whole_session_is_right() -> None:
    assert whole().violations() == []


def _break(change: Callable[[Seen], object]) -> list[str]:
    seen = whole()
    change(seen)
    return seen.violations()


def _double_a_turn(seen: Seen) -> None:
    seen.turns.append({**seen.turns[2], "turn": 4})


def _lose_a_completed_task(seen: Seen) -> None:
    seen.tasks.pop("task2")
    seen.requests.pop(1)


def _reverse(seen: Seen) -> None:
    first, second = seen.log.messages[:2]
    first.sent_at, first.answered_at, second.sent_at, second.answered_at = 20, 21, 10, 11


def _reverse_steering(seen: Seen) -> None:
    seen.log.messages.append(_message("more", 26, _answer(2), "steer"))
    seen.history[2]["content"] = f"{TWO}\n\nmore\n\n{LEFT}"


def _lose_steering(seen: Seen) -> None:
    seen.history[2]["content"] = TWO


def _double_steering(seen: Seen) -> None:
    seen.history[2]["content"] += f"\n\n{LEFT}"


def _begin_steering_earlier(seen: Seen) -> None:
    seen.turns[0]["content"] = LEFT
    _lose_steering(seen)


def _unsteered(seen: Seen) -> None:
    """It says that it took what it was told, and has built what it was asked first."""
    seen.turns[1].update(plan="A to-do list for the command line", answer="Done.")


def _mix(seen: Seen) -> None:
    """Another program's file, with the right name."""
    seen.left.files["store.py"] = PROGRAMS[0].read("store.py")


def _keep_what_was_interrupted(seen: Seen) -> None:
    seen.left.files.update({path: GREETER.read(path) for path in GREETER.purposes})


def _pause(target: str, id: str) -> Callable[[Seen], object]:
    return lambda seen: seen.log.paused.append(Paused(id, target, 25.0))


def _pause_the_key_in_vain(seen: Seen) -> None:
    """All attempts of the task's model call failed; that is no reason for what holds a key."""
    seen.log.attempts = 1
    _pause("Workspace/s/commit", "step1")(seen)


def _uncaused(status: str, failure: str, **around: Any) -> Callable[[Seen], object]:
    """The last turn ends so, and nobody did anything to it."""

    def change(seen: Seen) -> None:
        seen.turns[2].update(status=status)
        seen.tasks["task3"]["completion_failure"] = failure
        seen.log = replace(seen.log, **{"faults": [], **around})

    return change


def _stop_in_vain(seen: Seen) -> None:
    """The last turn was over before somebody stopped it."""
    _uncaused("interrupted", "[409] cancelled")(seen)
    seen.log.stops[0] = Stop(38.0, 39.0, "task3")


def _operate_on_a_step(task: str) -> Callable[[Seen], object]:
    """The last turn has failed, and a step of a task was cancelled."""

    def change(seen: Seen) -> None:
        _uncaused("failed", "[500] No.")(seen)
        action = Action("cancel", "step3", "CodingTask/write_file", task, 32.0)
        seen.log.actions.append(action)

    return change


def _pause_another(seen: Seen) -> None:
    seen.log.actions.append(Action("pause", "task1", "CodingTask/run_task", "task1", 24.0))
    _pause("CodingTask/write_file", "step1")(seen)


def _pause_while(kind: str) -> Callable[[Seen], object]:
    """A task was paused after this fault, which took longer than its attempts."""

    def change(seen: Seen) -> None:
        seen.log.attempts = 3
        seen.log.faults.append(Fault(kind, 12, 19))
        _pause("CodingTask/run_task", "task1")(seen)

    return change


def _interrupt_slowly(seen: Seen) -> None:
    seen.log.messages[1].sent_at = 11


def _overlap(seen: Seen) -> None:
    seen.requests[0] = replace(seen.requests[0], ended_at=22.2)


def _late_token(seen: Seen) -> None:
    seen.requests[0] = replace(seen.requests[0], last_token_at=22.1)


def _late_after_stop(seen: Seen) -> None:
    seen.requests[2] = replace(seen.requests[2], last_token_at=42.1, ended_at=42.1)


def _roll_back(seen: Seen) -> None:
    seen.log.messages[1].when_busy = "rollback"


def _roll_back_half(seen: Seen) -> None:
    """A rollback without an answer may have hidden a turn, but not its message alone."""
    seen.log.messages.append(Message("lost", "rollback", None, 36))
    seen.history.pop(0)


def _say_unanswered(times: int) -> Callable[[Seen], object]:
    """Something that was sent once, and got no answer, is in the history of a turn."""

    def change(seen: Seen) -> None:
        seen.log.messages.append(Message("lost", "steer", "task2", 26))
        seen.history[2]["content"] += "\n\nlost" * times

    return change


def _leave_streaming(seen: Seen) -> None:
    seen.requests[2] = replace(seen.requests[2], ended_at=None, status="streaming")


def _fail_an_attempt(seen: Seen) -> None:
    """A further attempt that was cut, before the call that was completed; not counted."""
    seen.requests.insert(1, _request(4, 2, "cut", 20.9, 20.95))


BREAKAGES: list[tuple[Callable[[Seen], object], str]] = [
    (lambda s: s.log.wrong.append("no answer"), "no answer"),
    (lambda s: s.turns.pop(), "'three' was accepted, and is 0 turns"),
    (_double_a_turn, "'three' was accepted, and is 2 turns"),
    (lambda s: s.turns[2].update(content="three\n\nrefused"), "a turn that holds 'three"),
    (lambda s: s.log.messages.pop(0), "'one' is a turn, and nobody sent it"),
    (lambda s: s.turns[1].update(content="refused"), "'refused' was not accepted, and is 1 turn"),
    (lambda s: s.turns[1].update(task_id="other"), "turn 2 is not the one that was answered"),
    (lambda s: s.log.messages[0].answers.append(_answer(2)), "answered differently when repeated"),
    (lambda s: s.log.messages[1].answers[0].update(interrupted="task2"), "to have interrupted"),
    (lambda s: s.log.messages[1].answers[0].update(interrupted="lost"), "to have interrupted"),
    (lambda s: s.log.messages[3].refusals.append((500, "Oops")), "'refused' was answered 500"),
    (lambda s: setattr(s.log.messages[3], "when_busy", None), "'refused' was answered 409"),
    (_reverse, f"{TWO!r} was accepted before 'one'"),
    (_reverse_steering, f"{LEFT!r} was accepted before 'more'"),
    (lambda s: s.history.pop(0), "turn 1 is not in the history once"),
    (lambda s: s.history.pop(1), "turn 1 has not one answer"),
    (_lose_steering, f"{LEFT!r} steered a turn, and is 0 times in the history"),
    (_double_steering, f"{LEFT!r} steered a turn, and is 2 times in the history"),
    (_begin_steering_earlier, f"{LEFT!r} steered turn 2, and is turn 1"),
    (
        lambda s: s.history[2].update(content=f"{TWO}\n\n{LEFT}\n\nrefused"),
        "'refused' is in the history of turn 2, and should not be",
    ),
    (lambda s: s.history[3].update(content="x"), "turn 2 has another answer in the history: 'x'"),
    (lambda s: s.history[1].update(content="x"), "what turn 1 had planned is not in the history"),
    (lambda s: s.status.update(turn=2), "get_status says"),
    (lambda s: s.history.pop(3), "two user entries in a row"),
    (lambda s: s.history.append(s.history[3]), "turn 2 has not one answer"),
    (lambda s: s.history.append({**s.history[3], "turn": 9}), "an answer too many in turn 9"),
    (_roll_back, "turn 1 was rolled back, and its answer is in the history"),
    (_roll_back_half, "turn 1 is not in the history once"),
    (_say_unanswered(2), "'lost' is in the history of turn 2, and should not be"),
    (lambda s: s.turns[2].update(turn=4), "turns are numbered [1, 2, 4]"),
    (lambda s: s.turns[0].update(status="killed"), "turn 1 is killed, its task task1"),
    (lambda s: s.tasks["task2"].update(status="paused"), "turn 2 is completed, its task task2"),
    (lambda s: s.tasks.pop("task1"), "turn 1 has a task that is not there"),
    (_lose_a_completed_task, "turn 2 has a task that is not there"),
    (lambda s: s.tasks.update(task9=s.tasks["task1"]), "task task9 belongs to no turn"),
    (lambda s: s.turns[0].update(plan="Another."), "turn 1 was over as"),
    (lambda s: s.tasks["task1"].update(completed_at="1970-01-01T00:00:22Z"), "run_task of turn 1"),
    (lambda s: s.tasks["task3"].update(completed_at="1970-01-01T00:00:43Z"), "run_task of turn 3"),
    (lambda s: s.steps["step1"].update(completed_at="1970-01-01T00:00:22Z"), "write_file of turn"),
    (_interrupt_slowly, f"{TWO!r} was answered after 10.0 s"),
    (lambda s: s.turns[1].update(answer=None), "turn 2 is completed with a plan or an answer of"),
    (lambda s: s.turns[1].update(plan="None."), "turn 2 is completed with a plan or an answer of"),
    (_unsteered, "turn 2 is completed with a plan or an answer of something else"),
    (lambda s: s.left.files.pop("app.py"), "nothing should not be as it is, ['app.py'] is missing"),
    (lambda s: s.left.files.update({"more.py": ""}), "['more.py'] should not be as it is, nothing"),
    (_keep_what_was_interrupted, f"{sorted(GREETER.purposes)} should not be as it is, nothing"),
    (_mix, "['store.py'] should not be as it is, ['store.py'] is missing"),
    (_uncaused("interrupted", "[409] cancelled"), "turn 3 is interrupted without a cause"),
    (_uncaused("killed", "[409] killed"), "turn 3 is killed without a cause"),
    (_uncaused("failed", "[500] No."), "turn 3 is failed without a cause"),
    (
        _uncaused("failed", "[500] No.", faults=[Fault("outage", 31, 36)]),
        "turn 3 is failed without a cause",
    ),
    (_pause("CodingTask/run_task", "task2"), "run_task task2 was paused without a cause"),
    (_pause("CodingTask/write_file", "step1"), "write_file step1 was paused without a cause"),
    (_pause("CodingAgent/s/message", "m1"), "message m1 was paused without a cause"),
    (_stop_in_vain, "turn 3 is interrupted without a cause"),
    (_operate_on_a_step("task2"), "turn 3 is failed without a cause"),
    (_pause_another, "write_file step1 was paused without a cause"),
    (_pause_while("outage"), "run_task task1 was paused without a cause"),
    (_pause_the_key_in_vain, "commit step1 was paused without a cause"),
    (lambda s: setattr(s.left, "draft", True), "a draft is left over"),
    (lambda s: s.status.update(status="working"), "get_status says"),
    (_overlap, "turns 1 and 2 generated at once, for 1.200 s"),
    (_leave_streaming, "the model is still answering s/3/plan"),
    (_late_token, "turn 1 went on for 1.100 s after its interruption"),
    (_late_after_stop, "turn 3 went on for 1.100 s after a stop"),
    (
        lambda s: s.left.usage.update(completion_tokens=859),
        "859 completion tokens are counted; 860 to",
    ),
    (
        lambda s: s.left.usage.update(completion_tokens=901),
        "901 completion tokens are counted; 860 to",
    ),
    (lambda s: s.left.usage.update(prompt_tokens=99), "99 prompt tokens are counted; 100 to 300"),
    (lambda s: s.left.usage.update(calls=2), "2 calls are counted; 3 were made"),
    (_fail_an_attempt, "895 completion tokens are counted; 1140 to 1200 were sent"),
]


@pytest.mark.parametrize("check", [*invariants.CHECKS, *our_agent.CHECKS])
def test_every_check_finds_something(check: Callable[..., Iterator[str]]) -> None:
    """Left out, something in the list would not be found."""
    assert any(
        found in wrong
        for seen, found in _broken()
        for wrong in (check(seen) if check in invariants.CHECKS else check(seen, seen.left))
    )


def _broken() -> Iterator[tuple[Seen, str]]:
    for change, found in BREAKAGES:
        seen = whole()
        change(seen)
        yield seen, found


@pytest.mark.parametrize(("change", "found"), BREAKAGES, ids=[found for _, found in BREAKAGES])
def test_what_is_broken_is_found(change: Callable[[Seen], object], found: str) -> None:
    assert any(found in wrong for wrong in _break(change)), _break(change)


def _kill_the_agent(seen: Seen) -> None:
    seen.log.faults.append(Fault("agent", 25.0, 26.0))
    seen.left.usage["completion_tokens"] = 560  # without the second call
    seen.left.usage["prompt_tokens"] = 0


def _kill_a_step(seen: Seen) -> None:
    seen.log.actions.append(Action("kill", "step2", "CodingTask/write_file", "task2", 25.0))
    seen.left.usage.update(completion_tokens=560, prompt_tokens=0)


def _kill_a_message(seen: Seen) -> None:
    """It may have become a turn, or not, and its task may be left."""
    seen.log.messages[4].answers = []
    seen.log.messages[4].refusals = [(409, "killed")]
    seen.log.actions.append(Action("kill", "m4", "CodingAgent/s/message", None, 30.0))
    seen.tasks["task9"] = {**seen.tasks["task1"], "completion_failure": "[409] killed"}


def _kill_a_task(seen: Seen) -> None:
    """Perhaps just behind its commit."""
    seen.log.actions.append(Action("kill", "task2", "CodingTask/run_task", "task2", 28.0))
    seen.turns[1].update(status="killed", plan=None, answer=None)
    seen.tasks["task2"]["completion_failure"] = "[409] killed"


def _kill_a_task_early(seen: Seen) -> None:
    _kill_a_task(seen)
    seen.left.files.clear()


def _steer_too_late(seen: Seen) -> None:
    """What the second turn did not take is the third."""
    seen.log.messages[4].when_busy = "steer"
    seen.log.messages[4].answers = [_answer(2)]


def _operate_on_a_turn(seen: Seen) -> None:
    _uncaused("interrupted", "[409] cancelled")(seen)
    seen.log.actions.append(Action("cancel", "task3", "CodingTask/run_task", "task3", 32.0))


def _stop_a_turn(seen: Seen) -> None:
    _uncaused("interrupted", "[409] cancelled")(seen)
    seen.log.stops[0] = Stop(35.0, 37.0, "task3")


def _stop_without_an_answer(seen: Seen) -> None:
    _uncaused("interrupted", "[409] cancelled")(seen)
    seen.log.stops[0] = Stop(35.0)


def _stop_a_turn_that_does_not_end(seen: Seen) -> None:
    _uncaused("killed", "[409] killed", cancel_timeout=5.0)(seen)
    seen.log.stops[0] = Stop(31.0, 37.0, "task3")


def _interrupt_what_is_paused(seen: Seen) -> None:
    _interrupt_slowly(seen)
    seen.log.actions.append(Action("pause", "task1", "CodingTask/run_task", "task1", 11.5))


def _pause_a_step(seen: Seen) -> None:
    seen.log.actions.append(Action("pause", "step1", "CodingTask/write_file", "task1", 24.0))
    _pause("CodingTask/write_file", "step1")(seen)


def _pause_in_vain(seen: Seen) -> None:
    """The only attempt of its call was cut off."""
    seen.log.attempts = 1
    _pause("CodingTask/run_task", "task1")(seen)


def _kill_a_step_late(seen: Seen) -> None:
    """A kill goes down a tree step by step."""
    seen.log.actions.append(Action("kill", "step1", "CodingTask/write_file", "task1", 20.9))
    seen.steps["step1"].update(
        completion_failure="[409] killed", completed_at="1970-01-01T00:00:22Z"
    )


def _roll_back_and_hide(seen: Seen) -> None:
    _roll_back(seen)
    del seen.history[:2]


def _roll_back_perhaps(seen: Seen) -> None:
    """The rollback got no answer: nobody knows which turns it has hidden."""
    seen.log.messages.append(Message("lost", "rollback", None, 36))
    del seen.history[:2]


def _interrupt_before_all_is_taken(seen: Seen) -> None:
    """The steering came too late for the last task, and stands in its turn's message all the same:
    an interruption met its end.
    """
    first = next(program for program in PROGRAMS if program.name == "todo_cli")
    plan = "\n".join([first.summary, *first.purposes])
    seen.turns[1].update(plan=plan, answer=first.answer)
    seen.history[3]["content"] = first.answer
    seen.left.files = {path: first.read(path) for path in first.purposes}
    seen.log.stops[0] = Stop(28.5, 29.5)


def _kill_the_rollback(seen: Seen) -> None:
    seen.left.draft = True
    seen.log.actions.append(Action("kill", "r1", "Workspace/s/rollback", "task1", 21.0))
    seen.left.usage.update(calls=3)


def _cancel_the_note_of_usage(seen: Seen) -> None:
    target = "UsageMeter/s/record"
    seen.log.actions.append(Action("cancel", "u1", target, "task2", 28.0))
    seen.left.usage.update(calls=2, completion_tokens=595, prompt_tokens=0)


def _pause_to_be_woken(seen: Seen) -> None:
    """An interruption that has to wait may pause a task."""
    seen.log.paused.append(Paused("task1", "CodingTask/run_task", 20.5))


def _interrupt_before_it_begins(seen: Seen) -> None:
    """With the queues of the next release a task may wait for a slot: cancelled, it is gone."""
    seen.tasks.pop("task1")
    seen.steps.clear()
    seen.requests.pop(0)
    seen.turns[0]["plan"] = None
    seen.log.seen.clear()
    seen.left.usage.update(calls=2, completion_tokens=595)


NO_VIOLATIONS = [
    *(_kill_the_agent, _kill_a_step, _kill_a_message, _kill_a_task, _kill_a_task_early),
    *(_steer_too_late, _operate_on_a_turn, _stop_a_turn, _stop_without_an_answer),
    *(_stop_a_turn_that_does_not_end, _pause_a_step, _pause_in_vain),
    *(_interrupt_what_is_paused, _kill_a_step_late, _say_unanswered(1)),
    *(_roll_back_and_hide, _roll_back_perhaps, _operate_on_a_step("task3")),
    *(_pause_while("agent"), _pause_to_be_woken, _interrupt_before_all_is_taken),
    *(_kill_the_rollback, _cancel_the_note_of_usage, _interrupt_before_it_begins),
]


@pytest.mark.parametrize("change", NO_VIOLATIONS)
def test_what_has_a_cause_or_nobody_can_know_is_not_a_violation(
    change: Callable[[Seen], object],
) -> None:
    assert _break(change) == []
