"""Each invariant finds what it is there to find: a whole session, broken in one place at a time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.sessions import our_agent
from tests.sessions.our_agent import AgentSnapshot, all_wrong_with
from workbench import ModelRequest
from workbench.oracle import invariants
from workbench.oracle.log import Action, Fault, Log, Message, Paused, Stop, Verdict
from workbench.scripted_model.answers import GREETER, PROGRAMS, Program

ROOT = Path(__file__).parents[2]

RUN, WRITE = "CodingTask/run_task", "CodingTask/write_file"
CANCELLED, KILLED, NO = "[409] cancelled", "[409] killed", "[500] No."

# What steers the turn that is completed decides what it is about.
TWO, LEFT = "Write a to-do CLI (two)", "Write it with Flask (left)"
CLI, FLASK = (
    next(each for each in PROGRAMS if each.name == name) for name in ("todo_cli", "todo_flask")
)


def _files(program: Program) -> dict[str, str]:
    return {path: program.read(path) for path in program.purposes}


def _plan(program: Program) -> str:
    return "\n".join([program.summary, *program.purposes])


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


def _request(number: int, turn: int, status: Any, begin: float, end: float) -> ModelRequest:
    return ModelRequest(
        number=number,
        label=f"s/{turn}/plan",
        step="plan",
        status=status,
        http_status=200,
        prompt_tokens=100,
        completion_tokens=300,
        started_at=begin,
        first_token_at=begin,
        last_token_at=end,
        ended_at=end,
    )


def _at(second: int) -> str:
    return f"1970-01-01T00:00:{second:02}Z"


def _row(target: str, end: int, failure: str | None = None) -> dict[str, Any]:
    return {
        **{"target": target, "status": "completed", "completion_failure": failure},
        **{"created_at": _at(0), "completed_at": _at(end)},
    }


def whole() -> AgentSnapshot:
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
        _turn(1, "one", "interrupted", plan=_plan(FLASK)),
        _turn(2, TWO, "completed", plan=_plan(FLASK), answer=FLASK.answer),
        _turn(3, "three", "failed", error="No."),
    ]
    said = [
        (1, "one", f"[Interrupted] {_plan(FLASK)}"),
        (2, f"{TWO}\n\n{LEFT}", FLASK.answer),
        (3, "three", "[Failed]"),
    ]
    return AgentSnapshot(
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
            "task1": _row(RUN, 20, CANCELLED),
            "task2": _row(RUN, 29),
            "task3": _row(RUN, 36, NO),
        },
        steps={"step1": {**_row(WRITE, 20, CANCELLED), "task": "task1"}},
        requests=[
            _request(1, 1, "hung up", 11, 20.5),
            _request(2, 2, "completed", 21, 28),
            _request(3, 3, "completed", 31, 35),
        ],
        files=_files(FLASK),
        usage={"calls": 3, "prompt_tokens": 100, "completion_tokens": 895},
        draft=False,
    )


WHOLE = whole()  # to take from; nothing in it is changed
GONE = object()
Changes = Mapping[str, object]
"""What is different, by its path: a new value, or GONE. At `+` something is put to a list's end."""


def changed(changes: Changes) -> AgentSnapshot:
    """The whole session with these changes, made one after the other."""
    snapshot = whole()
    for path, value in changes.items():
        *way, last = path.split("/")
        place: Any = snapshot
        for part in way:
            place = _part(place, part)
        key: Any = int(last) if isinstance(place, list) and last != "+" else last
        if key == "+":
            place.append(value)
        elif value is GONE:
            del place[key]
        elif isinstance(place, list | dict):
            place[key] = value
        else:
            object.__setattr__(place, key, value)  # some are frozen
    return snapshot


def _part(place: Any, part: str) -> Any:
    if isinstance(place, list):
        return place[int(part)]
    return place[part] if isinstance(place, dict) else getattr(place, part)


# Changes that several have in common


def _last_turn(status: str, failure: str, **log: object) -> Changes:
    """The last turn ends so, and nobody did anything to it."""
    return {
        "turns/2/status": status,
        "tasks/task3/completion_failure": failure,
        "log/faults": [],
        **{f"log/{name}": value for name, value in log.items()},
    }


def _action(verb: str, id: str, target: str, task: str | None, at: float) -> Changes:
    return {"log/actions": [Action(verb, id, target, task, at)]}


def _paused(id: str, target: str, at: float = 25.0) -> Changes:
    return {"log/paused": [Paused(id, target, at)]}


# Two attempts at a turn take longer than this fault.
_ATTEMPTS_IN_VAIN = {"log/attempts": 3, **_paused("task1", RUN)}
_STEP_CANCELLED = _action("cancel", "step3", WRITE, "task2", 32.0)
_UNHEARD = {"log/messages/+": Message("lost", "rollback", None, 36)}
_UNHEARD_STEERING = {"log/messages/+": Message("lost", "steer", "task2", 26)}
_SAID = f"{TWO}\n\n{LEFT}"

_TWO_ASKS, _THREE_ASKS = {"log/messages/1/approve": True}, {"log/messages/4/approve": True}


def _verdict(turn: int, yes: bool, at: float, plan: int) -> Changes:
    return {"log/verdicts": [Verdict(turn, yes, at, at + 0.5, plan)]}


BREAKAGES: list[tuple[str, Changes]] = [
    ("no answer", {"log/wrong/+": "no answer"}),
    # Messages
    ("'three' was accepted, and is 0 turns", {"turns/2": GONE}),
    ("'three' was accepted, and is 2 turns", {"turns/+": {**WHOLE.turns[2], "turn": 4}}),
    ("a turn that holds 'three", {"turns/2/content": "three\n\nrefused"}),
    ("'one' is a turn, and nobody sent it", {"log/messages/0": GONE}),
    ("'refused' was not accepted, and is 1 turn", {"turns/1/content": "refused"}),
    ("turn 2 is not the one that was answered", {"turns/1/task_id": "other"}),
    ("answered differently when repeated", {"log/messages/0/answers/+": _answer(2)}),
    ("to have interrupted", {"log/messages/1/answers/0/interrupted": "task2"}),
    ("to have interrupted", {"log/messages/1/answers/0/interrupted": "lost"}),
    ("'refused' was answered 500", {"log/messages/3/refusals/+": (500, "Oops")}),
    ("'refused' was answered 409", {"log/messages/3/when_busy": None}),
    (
        f"{TWO!r} was accepted before 'one'",
        {"log/messages/0": _message("one", 21, _answer(1)), "log/messages/1/answered_at": 20.5},
    ),
    (
        f"{LEFT!r} was accepted before 'more'",
        {
            "log/messages/+": _message("more", 26, _answer(2), "steer"),
            "history/2/content": f"{TWO}\n\nmore\n\n{LEFT}",
        },
    ),
    # Approval
    ("turn 2 is completed, and nobody has approved it", _TWO_ASKS),
    (
        "s/2/write was asked for, and nobody has approved its plan",
        {
            **_TWO_ASKS,
            **_verdict(2, yes=True, at=22, plan=1),
            "requests/+": replace(
                _request(4, 2, "completed", 28, 29), step="write", label="s/2/write"
            ),
        },
    ),
    (
        "2 verdicts were taken for plan 2 of turn 2",
        {**_TWO_ASKS, "log/verdicts": [Verdict(2, yes, 28, 29, 2) for yes in (True, False)]},
    ),
    ("for turn 2, which did not ask for one", _verdict(2, yes=True, at=28, plan=2)),
    ("for turn 2, which was over", {**_TWO_ASKS, **_verdict(2, yes=True, at=35, plan=2)}),
    ("a no was taken for turn 2", {**_TWO_ASKS, **_verdict(2, yes=False, at=28, plan=2)}),
    (
        "a yes was taken for turn 3, which failed",
        {
            **_THREE_ASKS,
            **_verdict(3, yes=True, at=35, plan=1),
            "turns/2/error": "The plan was declined.",
        },
    ),
    # The history
    ("turn 1 is not in the history once", {"history/0": GONE}),
    ("turn 1 has not one answer", {"history/1": GONE}),
    (f"{LEFT!r} steered a turn, and is 0 times in the history", {"history/2/content": TWO}),
    (
        f"{LEFT!r} steered a turn, and is 2 times in the history",
        {"history/2/content": f"{_SAID}\n\n{LEFT}"},
    ),
    (
        f"{LEFT!r} steered turn 2, and is turn 1",
        {"turns/0/content": LEFT, "history/2/content": TWO},
    ),
    (
        "'refused' is in the history of turn 2, and should not be",
        {"history/2/content": f"{_SAID}\n\nrefused"},
    ),
    (
        "'lost' is in the history of turn 2, and should not be",
        {**_UNHEARD_STEERING, "history/2/content": f"{_SAID}\n\nlost\n\nlost"},
    ),
    ("turn 2 has another answer in the history: 'x'", {"history/3/content": "x"}),
    ("what turn 1 had planned is not in the history", {"history/1/content": "x"}),
    ("two user entries in a row", {"history/3": GONE}),
    ("turn 2 has not one answer", {"history/+": WHOLE.history[3]}),
    ("an answer too many in turn 9", {"history/+": {**WHOLE.history[3], "turn": 9}}),
    (
        "turn 1 was rolled back, and its answer is in the history",
        {"log/messages/1/when_busy": "rollback"},
    ),
    # A rollback without an answer may have hidden a turn, but not its message alone.
    ("turn 1 is not in the history once", {**_UNHEARD, "history/0": GONE}),
    # Turns
    ("get_status says", {"status/turn": 2}),
    ("get_status says", {"status/status": "working"}),
    ("turns are numbered [1, 2, 4]", {"turns/2/turn": 4}),
    ("turn 1 is killed, its task task1", {"turns/0/status": "killed"}),
    ("turn 2 is completed, its task task2", {"tasks/task2/status": "paused"}),
    ("turn 1 has a task that is not there", {"tasks/task1": GONE}),
    ("turn 2 has a task that is not there", {"tasks/task2": GONE, "requests/1": GONE}),
    ("task task9 belongs to no turn", {"tasks/task9": WHOLE.tasks["task1"]}),
    ("turn 1 was over as", {"turns/0/plan": "Another."}),
    ("run_task of turn 1", {"tasks/task1/completed_at": _at(22)}),
    ("run_task of turn 3", {"tasks/task3/completed_at": _at(43)}),
    ("write_file of turn", {"steps/step1/completed_at": _at(22)}),
    (f"{TWO!r} was answered after 10.0 s", {"log/messages/1/sent_at": 11}),
    # Causes
    ("turn 3 is interrupted without a cause", _last_turn("interrupted", CANCELLED)),
    ("turn 3 is killed without a cause", _last_turn("killed", KILLED)),
    ("turn 3 is failed without a cause", _last_turn("failed", NO)),
    (
        "turn 3 is failed without a cause",
        _last_turn("failed", NO, faults=[Fault("outage", 31, 36)]),
    ),
    (  # The last turn was over before somebody stopped it.
        "turn 3 is interrupted without a cause",
        _last_turn("interrupted", CANCELLED, stops=[Stop(38.0, 39.0, "task3")]),
    ),
    ("turn 3 is failed without a cause", {**_last_turn("failed", NO), **_STEP_CANCELLED}),
    ("run_task task2 was paused without a cause", _paused("task2", RUN)),
    ("write_file step1 was paused without a cause", _paused("step1", WRITE)),
    ("message m1 was paused without a cause", _paused("m1", "CodingAgent/s/message")),
    (
        "write_file step1 was paused without a cause",
        {**_action("pause", "task1", RUN, "task1", 24.0), **_paused("step1", WRITE)},
    ),
    (
        "run_task task1 was paused without a cause",
        {**_ATTEMPTS_IN_VAIN, "log/faults/+": Fault("outage", 12, 19)},
    ),
    (  # All attempts of a model call failed; that is no reason for what holds a key.
        "commit step1 was paused without a cause",
        {"log/attempts": 1, **_paused("step1", "Workspace/s/commit")},
    ),
    # The model
    ("turns 1 and 2 generated at once, for 1.200 s", {"requests/0/ended_at": 22.2}),
    ("the model is still answering s/3/plan", {"requests/2/ended_at": None}),
    ("turn 1 went on for 1.100 s after its interruption", {"requests/0/last_token_at": 22.1}),
    (
        "turn 3 went on for 1.100 s after a stop",
        {"requests/2/last_token_at": 42.1, "requests/2/ended_at": 42.1},
    ),
    # Plans, answers and files
    ("turn 2 is completed with a plan or an answer of", {"turns/1/answer": None}),
    ("turn 2 is completed with a plan or an answer of", {"turns/1/plan": "None."}),
    (  # It says that it took what it was told, and has built what it was asked first.
        "turn 2 is completed with a plan or an answer of something else",
        {"turns/1/plan": CLI.summary, "turns/1/answer": CLI.answer},
    ),
    ("nothing should not be as it is, ['app.py'] is missing", {"files/app.py": GONE}),
    ("['more.py'] should not be as it is, nothing", {"files/more.py": ""}),
    (  # What an interrupted turn had written
        f"{sorted(GREETER.purposes)} should not be as it is, nothing",
        {"files": _files(FLASK) | _files(GREETER)},
    ),
    (  # Another program's file, with the right name
        "['store.py'] should not be as it is, ['store.py'] is missing",
        {"files/store.py": PROGRAMS[0].read("store.py")},
    ),
    ("a draft is left over", {"draft": True}),
    # Usage
    ("859 completion tokens are counted; 860 to", {"usage/completion_tokens": 859}),
    ("901 completion tokens are counted; 860 to", {"usage/completion_tokens": 901}),
    ("99 prompt tokens are counted; 100 to 300", {"usage/prompt_tokens": 99}),
    ("2 calls are counted; 3 were made", {"usage/calls": 2}),
    (  # A further attempt that was cut, before the call that was completed; not counted.
        "895 completion tokens are counted; 1140 to 1200 were sent",
        {
            "requests": [
                *WHOLE.requests[:1],
                _request(4, 2, "cut", 20.9, 20.95),
                *WHOLE.requests[1:],
            ]
        },
    ),
]

_SECOND_CALL_UNKNOWN = {"usage/completion_tokens": 560, "usage/prompt_tokens": 0}
_TASK_KILLED = {
    **_action("kill", "task2", RUN, "task2", 28.0),
    "turns/1": _turn(2, TWO, "killed"),
    "tasks/task2/completion_failure": KILLED,
}

NO_VIOLATIONS: dict[str, Changes] = {
    "nothing is wrong": {},
    # What has a cause
    "a turn is cancelled by an operator": {
        **_last_turn("interrupted", CANCELLED),
        **_action("cancel", "task3", RUN, "task3", 32.0),
    },
    "a turn is stopped": _last_turn("interrupted", CANCELLED, stops=[Stop(35.0, 37.0, "task3")]),
    "a stop gets no answer": _last_turn("interrupted", CANCELLED, stops=[Stop(35.0)]),
    "a stopped turn does not end": _last_turn(
        "killed", KILLED, stops=[Stop(31.0, 37.0, "task3")], cancel_timeout=5.0
    ),
    "a step of a turn is cancelled": {
        **_last_turn("failed", NO),
        **_action("cancel", "step3", WRITE, "task3", 32.0),
    },
    "a step is paused by an operator": {
        **_action("pause", "step1", WRITE, "task1", 24.0),
        **_paused("step1", WRITE),
    },
    "all attempts are in vain": {"log/attempts": 1, **_paused("task1", RUN)},
    "the agent is away": {**_ATTEMPTS_IN_VAIN, "log/faults/+": Fault("agent", 12, 19)},
    "an interruption that waits pauses a task, to wake it": _paused("task1", RUN, 20.5),
    "what is interrupted slowly is paused": {
        "log/messages/1/sent_at": 11,
        **_action("pause", "task1", RUN, "task1", 11.5),
    },
    "what steers too late is the next turn": {
        "log/messages/4/when_busy": "steer",
        "log/messages/4/answers": [_answer(2)],
    },
    "a rollback hides a turn": {
        "log/messages/1/when_busy": "rollback",
        "history": WHOLE.history[2:],
    },
    "a plan is approved": {**_TWO_ASKS, **_verdict(2, yes=True, at=28, plan=2)},
    "a plan is declined": {
        **_THREE_ASKS,
        **_verdict(3, yes=False, at=35, plan=1),
        "log/faults": [],
    },
    "nobody approves a plan in time": {
        **_THREE_ASKS,
        "log/approval_timeout": 30.0,
        "log/faults": [],
    },
    # What nobody can know
    "steering gets no answer, and is heard": {
        **_UNHEARD_STEERING,
        "history/2/content": f"{_SAID}\n\nlost",
    },
    "a rollback gets no answer, and hides a turn": {**_UNHEARD, "history": WHOLE.history[2:]},
    "a kill goes down a tree step by step": {
        **_action("kill", "step1", WRITE, "task1", 20.9),
        "steps/step1/completion_failure": KILLED,
        "steps/step1/completed_at": _at(22),
    },
    "a message is killed, and its task is left": {
        **_action("kill", "m4", "CodingAgent/s/message", None, 30.0),
        "log/messages/4/answers": [],
        "log/messages/4/refusals": [(409, "killed")],
        "tasks/task9": {**WHOLE.tasks["task1"], "completion_failure": KILLED},
    },
    "a task is killed just behind its commit": _TASK_KILLED,
    "a task is killed before its commit": {**_TASK_KILLED, "files": {}},
    "a task is cancelled before it gets a slot, and has no record": {
        "tasks/task1": GONE,
        "steps": {},
        "requests/0": GONE,
        "turns/0/plan": None,
        "log/seen": {},
        "usage/calls": 2,
        "usage/completion_tokens": 595,
    },
    "an interruption meets the end of a task, which has not taken all": {
        "turns/1/plan": _plan(CLI),
        "turns/1/answer": CLI.answer,
        "history/3/content": CLI.answer,
        "files": _files(CLI),
        "log/stops": [Stop(28.5, 29.5)],
    },
    "the rollback of a draft is killed": {
        **_action("kill", "r1", "Workspace/s/rollback", "task1", 21.0),
        "draft": True,
    },
    "the agent is killed before it counts": {
        "log/faults/+": Fault("agent", 25.0, 26.0),
        **_SECOND_CALL_UNKNOWN,
    },
    "a step is killed before it counts": {
        **_action("kill", "step2", WRITE, "task2", 25.0),
        **_SECOND_CALL_UNKNOWN,
    },
    "the note of usage is cancelled": {
        **_action("cancel", "u1", "UsageMeter/s/record", "task2", 28.0),
        **{"usage/calls": 2, "usage/completion_tokens": 595, "usage/prompt_tokens": 0},
    },
}


def test_the_oracle_knows_nothing_of_our_agent() -> None:
    code = "import sys, workbench.oracle; print(*(name.split('.')[0] for name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "workbench" in loaded.stdout.split()
    assert "agent" not in loaded.stdout.split()


@pytest.mark.parametrize(("found", "changes"), BREAKAGES, ids=[found for found, _ in BREAKAGES])
def test_what_is_broken_is_found(found: str, changes: Changes) -> None:
    wrong = all_wrong_with(changed(changes))
    assert any(found in each for each in wrong), wrong


@pytest.mark.parametrize("check", [*invariants.CHECKS, *our_agent.CHECKS])
def test_every_check_finds_something(check: Callable[..., Iterator[str]]) -> None:
    """Left out, something in the list would not be found."""
    assert any(found in wrong for found, changes in BREAKAGES for wrong in check(changed(changes)))


@pytest.mark.parametrize("changes", NO_VIOLATIONS.values(), ids=NO_VIOLATIONS.keys())
def test_what_has_a_cause_or_nobody_can_know_is_not_a_violation(changes: Changes) -> None:
    assert all_wrong_with(changed(changes)) == []
