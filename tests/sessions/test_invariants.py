"""Each invariant finds what it is there to find: a whole session, broken in one place at a time."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sessions import our_agent
from tests.sessions.our_agent import AgentSnapshot, all_wrong_with
from workbench import ModelRequest
from workbench.oracle import invariants, log
from workbench.oracle.log import Fault, Log, Message, Stop, Verdict
from workbench.scripted_model.answers import GREETER, PROGRAMS, Program

ROOT = Path(__file__).parents[2]

RUN, WRITE = "CodingTask/run_task", "CodingTask/write_file"
CANCELLED, KILLED, NO = "[409] cancelled", "[409] killed", "[500] No."

# What steers the turn that is completed decides what it is about.
TWO, LEFT = "Write a to-do CLI (two)", "Write it with Flask (left)"
_BY_NAME = {program.name: program for program in PROGRAMS}
CLI, FLASK, OTHER = _BY_NAME["todo_cli"], _BY_NAME["todo_flask"], GREETER


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


def broken(statements: str) -> AgentSnapshot:
    """The whole session after these statements, for which all that it holds are names."""
    snapshot = whole()

    def last_turn(status: str, failure: str) -> None:
        """The last turn ends so, and the model is not the cause."""
        snapshot.turns[2]["status"] = status
        snapshot.tasks["task3"]["completion_failure"] = failure
        snapshot.log.faults.clear()

    names = {**vars(log), **globals(), **locals(), **vars(snapshot.log), **vars(snapshot)}
    exec(statements, names)
    return snapshot


def change(record: object, **fields: object) -> None:
    """Change a record that is frozen."""
    vars(record).update(fields)


def rows(table: str) -> list[tuple[str, str]]:
    """What is broken, and the words behind the arrow."""
    return re.findall(r"\s*(\S.*?)\s*→ ([^\n]+)", re.sub("(?m)^#.*$", "", table), re.DOTALL)


def _lost(when_busy: str, at: float) -> Message:
    """A message that got no answer."""
    return Message("lost", when_busy, "task2", at)


def _verdict(turn: int, yes: bool, at: float, plan: int = 2) -> Verdict:
    return Verdict(turn, yes, at, at + 0.5, plan)


BREAKAGES = rows(r"""
wrong.append("no answer") → no answer
# Messages
del turns[2] → 'three' was accepted, and is 0 turns
turns.append({**turns[2], "turn": 4}) → 'three' was accepted, and is 2 turns
turns[2]["content"] = "three\n\nrefused" → a turn that holds 'three
del messages[0] → 'one' is a turn, and nobody sent it
turns[1]["content"] = "refused" → 'refused' was not accepted, and is 1 turn
turns[1]["task_id"] = "other" → turn 2 is not the one that was answered
messages[0].answers.append(_answer(2)) → answered differently when repeated
messages[1].answers[0]["interrupted"] = "task2" → to have interrupted
messages[1].answers[0]["interrupted"] = "lost" → to have interrupted
messages[3].refusals.append((500, "Oops")) → 'refused' was answered 500
messages[3].when_busy = None → 'refused' was answered 409
messages[0] = _message("one", 21, _answer(1))
messages[1].answered_at = 20.5 → 'Write a to-do CLI (two)' was accepted before 'one'
messages.append(_message("more", 26, _answer(2), "steer"))
history[2]["content"] = f"{TWO}\n\nmore\n\n{LEFT}" → (left)' was accepted before 'more'
# The history
del history[0] → turn 1 is not in the history once
del history[1] → turn 1 has not one answer
history[2]["content"] = TWO → (left)' steered a turn, and is 0 times in the history
history[2]["content"] += f"\n\n{LEFT}" → (left)' steered a turn, and is 2 times in the history
turns[0]["content"], history[2]["content"] = LEFT, TWO → (left)' steered turn 2, and is turn 1
history[2]["content"] += "\n\nrefused" → 'refused' is in the history of turn 2, and should not be
messages.append(_lost("steer", 26))
history[2]["content"] += "\n\nlost\n\nlost" → 'lost' is in the history of turn 2, and should not be
history[3]["content"] = "x" → turn 2 has another answer in the history: 'x'
history[1]["content"] = "x" → what turn 1 had planned is not in the history
del history[3] → two user entries in a row
history.append(history[3]) → turn 2 has not one answer
history.append({**history[3], "turn": 9}) → an answer too many in turn 9
messages[1].when_busy = "rollback" → turn 1 was rolled back, and its answer is in the history
# A rollback without an answer may have hidden a turn, but not its message alone.
messages.append(_lost("rollback", 36)); del history[0] → turn 1 is not in the history once
# Turns
status["turn"] = 2 → get_status says
status["status"] = "working" → get_status says
turns[2]["turn"] = 4 → turns are numbered [1, 2, 4]
turns[0]["status"] = "killed" → turn 1 is killed, its task task1
tasks["task2"]["status"] = "paused" → turn 2 is completed, its task task2
del tasks["task1"] → turn 1 has a task that is not there
del tasks["task2"], requests[1] → turn 2 has a task that is not there
tasks["task9"] = tasks["task1"] → task task9 belongs to no turn
turns[0]["plan"] = "Another." → turn 1 was over as
tasks["task1"]["completed_at"] = _at(22) → run_task of turn 1
tasks["task3"]["completed_at"] = _at(43) → run_task of turn 3
steps["step1"]["completed_at"] = _at(22) → write_file of turn
messages[1].sent_at = 11 → 'Write a to-do CLI (two)' was answered after 10.0 s
# Causes
last_turn("interrupted", CANCELLED) → turn 3 is interrupted without a cause
last_turn("killed", KILLED) → turn 3 is killed without a cause
last_turn("failed", NO) → turn 3 is failed without a cause
faults[:] = [Fault("outage", 31, 36)] → turn 3 is failed without a cause
# The last turn was over before somebody stopped it.
last_turn("interrupted", CANCELLED)
stops[:] = [Stop(38.0, 39.0, "task3")] → turn 3 is interrupted without a cause
last_turn("failed", NO)
actions.append(Action("cancel", "step3", WRITE, "task2", 32)) → turn 3 is failed without a cause
paused.append(Paused("task2", RUN, 25)) → run_task task2 was paused without a cause
paused.append(Paused("step1", WRITE, 25)) → write_file step1 was paused without a cause
paused.append(Paused("m1", "CodingAgent/s/message", 25)) → message m1 was paused without a cause
actions.append(Action("pause", "task1", RUN, "task1", 24))
paused.append(Paused("step1", WRITE, 25)) → write_file step1 was paused without a cause
# Two attempts at a turn take longer than this fault.
log.attempts = 3; faults.append(Fault("outage", 12, 19))
paused.append(Paused("task1", RUN, 25)) → run_task task1 was paused without a cause
# All attempts of a model call failed; that is no reason for what holds a key.
log.attempts = 1
paused.append(Paused("step1", "Workspace/s/commit", 25)) → commit step1 was paused without a cause
# Approval
messages[1].approve = True → turn 2 is completed, and nobody has approved it
messages[1].approve = True; verdicts.append(_verdict(2, True, 22, 1))
requests.append(_request(4, 2, "completed", 28, 29))
change(requests[3], step="write", label="s/2/write") → nobody has approved its plan
messages[1].approve = True
verdicts.extend([_verdict(2, True, 28), _verdict(2, False, 28)]) → 2 verdicts were taken for plan 2
verdicts.append(_verdict(2, True, 28)) → for turn 2, which did not ask for one
messages[1].approve = True; verdicts.append(_verdict(2, True, 35)) → for turn 2, which was over
messages[1].approve = True; verdicts.append(_verdict(2, False, 28)) → a no was taken for turn 2
messages[4].approve = True; verdicts.append(_verdict(3, True, 35, 1))
turns[2]["error"] = "The plan was declined." → a yes was taken for turn 3, which failed
# The model
change(requests[0], ended_at=22.2) → turns 1 and 2 generated at once, for 1.200 s
change(requests[2], ended_at=None) → the model is still answering s/3/plan
change(requests[0], last_token_at=22.1) → turn 1 went on for 1.100 s after its interruption
change(requests[2], last_token_at=42.1, ended_at=42.1) → turn 3 went on for 1.100 s after a stop
# Plans, answers and files
turns[1]["answer"] = None → turn 2 is completed with a plan or an answer of
turns[1]["plan"] = "None." → turn 2 is completed with a plan or an answer of
# It says that it took what it was told, and has built what it was asked first.
turns[1].update(plan=CLI.summary, answer=CLI.answer) → turn 2 is completed with a plan or an answer
del files["app.py"] → nothing should not be as it is, ['app.py'] is missing
files["more.py"] = "" → ['more.py'] should not be as it is, nothing
# What an interrupted turn had written; and another file with the right name
files.update(_files(OTHER)) → 'greeter.py', 'test_greeter.py'] should not be as it is, nothing
files["store.py"] = "" → ['store.py'] should not be as it is, ['store.py'] is missing
snapshot.draft = True → a draft is left over
# Usage
usage["completion_tokens"] = 859 → 859 completion tokens are counted; 860 to
usage["completion_tokens"] = 901 → 901 completion tokens are counted; 860 to
usage["prompt_tokens"] = 99 → 99 prompt tokens are counted; 100 to 300
usage["calls"] = 2 → 2 calls are counted; 3 were made
# A further attempt that was cut, before the call that was completed; not counted
requests.insert(1, _request(4, 2, "cut", 20.9, 20.95)) → 895 completion tokens are counted; 1140 to
""")

NO_VIOLATIONS = rows(r"""
pass → nothing is wrong
# What has a cause
last_turn("interrupted", CANCELLED)
actions.append(Action("cancel", "task3", RUN, "task3", 32)) → a turn is cancelled by an operator
last_turn("interrupted", CANCELLED); stops[:] = [Stop(35, 37, "task3")] → a turn is stopped
last_turn("interrupted", CANCELLED); stops[:] = [Stop(35)] → a stop gets no answer
last_turn("killed", KILLED); log.cancel_timeout = 5.0
stops[:] = [Stop(31, 37, "task3")] → a stopped turn does not end
last_turn("failed", NO)
actions.append(Action("cancel", "step3", WRITE, "task3", 32)) → a step of a turn is cancelled
actions.append(Action("pause", "step1", WRITE, "task1", 24))
paused.append(Paused("step1", WRITE, 25)) → a step is paused by an operator
log.attempts = 1; paused.append(Paused("task1", RUN, 25)) → all attempts are in vain
log.attempts = 3; faults.append(Fault("agent", 12, 19))
paused.append(Paused("task1", RUN, 25)) → the agent is away
paused.append(Paused("task1", RUN, 20.5)) → an interruption that waits pauses a task, to wake it
messages[1].sent_at = 11
actions.append(Action("pause", "task1", RUN, "task1", 11.5)) → what is interrupted slowly is paused
messages[4].when_busy, messages[4].answers = "steer", [_answer(2)] → what steers too late is a turn
messages[1].when_busy = "rollback"; del history[:2] → a rollback hides a turn
messages[1].approve = True; verdicts.append(_verdict(2, True, 28)) → a plan is approved
last_turn("failed", NO); messages[4].approve = True
verdicts.append(_verdict(3, False, 35, 1)) → a plan is declined
last_turn("failed", NO); messages[4].approve = True
log.approval_timeout = 30.0 → nobody approves a plan in time
# What nobody can know
messages.append(_lost("steer", 26))
history[2]["content"] += "\n\nlost" → steering gets no answer, and is heard
messages.append(_lost("rollback", 36)); del history[:2] → a rollback without an answer hides a turn
actions.append(Action("kill", "step1", WRITE, "task1", 20.9))
steps["step1"].update(completion_failure=KILLED, completed_at=_at(22)) → a kill goes down its tree
actions.append(Action("kill", "m4", "CodingAgent/s/message", None, 30))
messages[4].answers, messages[4].refusals = [], [(409, "killed")]
tasks["task9"] = {**tasks["task1"], "completion_failure": KILLED} → its message is killed
actions.append(Action("kill", "task2", RUN, "task2", 28)); turns[1] = _turn(2, TWO, "killed")
tasks["task2"]["completion_failure"] = KILLED → a task is killed just behind its commit
actions.append(Action("kill", "task2", RUN, "task2", 28)); turns[1] = _turn(2, TWO, "killed")
tasks["task2"]["completion_failure"] = KILLED; files.clear() → a task is killed before its commit
del tasks["task1"], requests[0]; steps.clear(); seen.clear(); turns[0]["plan"] = None
usage.update(calls=2, completion_tokens=595) → a task is cancelled before it gets a slot: no record
turns[1].update(plan=_plan(CLI), answer=CLI.answer); history[3]["content"] = CLI.answer
snapshot.files = _files(CLI)
stops[:] = [Stop(28.5, 29.5)] → an interruption meets the end of a task, which has not taken all
snapshot.draft = True
actions.append(Action("kill", "r1", "Workspace/s/rollback", "task1", 21)) → its rollback is killed
faults.append(Fault("agent", 25, 26))
usage.update(completion_tokens=560, prompt_tokens=0) → the agent is killed before it counts
actions.append(Action("kill", "step2", WRITE, "task2", 25))
usage.update(completion_tokens=560, prompt_tokens=0) → a step is killed before it counts
actions.append(Action("cancel", "u1", "UsageMeter/s/record", "task2", 28))
usage.update(calls=2, completion_tokens=595, prompt_tokens=0) → the note of usage is cancelled
""")


def test_the_oracle_knows_nothing_of_our_agent() -> None:
    code = "import sys, workbench.oracle; print(*(name.split('.')[0] for name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "workbench" in loaded.stdout.split()
    assert not {"agent", "tests"} & {*loaded.stdout.split()}


@pytest.mark.parametrize(("statements", "found"), BREAKAGES)
def test_what_is_broken_is_found(statements: str, found: str) -> None:
    wrong = all_wrong_with(broken(statements))
    assert any(found in each for each in wrong), wrong


@pytest.mark.parametrize("check", [*invariants.CHECKS, *our_agent.CHECKS])
def test_every_check_finds_something(check: Callable[..., Iterator[str]]) -> None:
    """Left out, something in the list would not be found."""
    assert any(found in wrong for code, found in BREAKAGES for wrong in check(broken(code)))


@pytest.mark.parametrize(("statements", "what"), NO_VIOLATIONS)
def test_what_has_a_cause_or_nobody_can_know_is_not_a_violation(statements: str, what: str) -> None:
    assert all_wrong_with(broken(statements)) == [], what
