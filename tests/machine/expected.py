"""What a session must look like, worked out from what was done to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Request:
    """A message as it was sent, and its answer: sent again, it must get the same one."""

    body: dict[str, Any]
    key: str
    answer: dict[str, Any]


@dataclass
class ExpectedTurn:
    """A turn that a message has begun.

    Attributes:
        said: the message, and what the turn was steered with.
        may: how it may end, given what was done to it so far.
        must_be_over: a message or a stop has interrupted whatever was open.
        hidden: it was rolled back; None where it may be so or not.
        end: the turn as it was first seen to be over; it stays so for good.
    """

    number: int
    task: str
    said: list[str]
    may: set[str] = field(default_factory=lambda: {"completed"})
    must_be_over: bool = False
    hidden: bool | None = False
    end: dict[str, Any] | None = None

    def may_become(self, status: str) -> None:
        """Note that something was done to it which may end it in this way."""
        if self.end is None:
            self.may.add(status)


class ExpectedSession:
    """The turns that must be there. Left alone, each is completed; all else has had a cause."""

    def __init__(self) -> None:
        self.turns: list[ExpectedTurn] = []
        self.requests: list[Request] = []

    @property
    def newest(self) -> ExpectedTurn:
        return self.turns[-1]

    @property
    def tasks_that_must_be_over(self) -> list[str]:
        return [turn.task for turn in self.turns if turn.must_be_over]

    def may_be_open(self) -> list[ExpectedTurn]:
        """The turns that were not seen to be over."""
        return [turn for turn in self.turns if turn.end is None and not turn.must_be_over]

    def accepted(self, request: Request) -> Iterator[str]:
        """Note a message that was accepted; what is wrong with its answer comes back."""
        self.requests.append(request)
        answer, content = request.answer, request.body["content"]
        when_busy = request.body.get("when_busy", "interrupt")
        if when_busy == "steer":
            yield from self._steered(request)
            return
        if answer["turn"] != len(self.turns) + 1:
            yield f"the message became turn {answer['turn']}, not {len(self.turns) + 1}"
        if when_busy in ("interrupt", "rollback"):
            yield from self.interrupted(answer["interrupted"], roll_back=when_busy == "rollback")
        elif answer["interrupted"]:
            yield f"{when_busy} has interrupted {answer['interrupted']}"
        if when_busy == "reject":  # it was not, so nothing was open
            self._all_over()
        self.turns.append(ExpectedTurn(answer["turn"], answer["task_id"], [content]))

    def interrupted(self, task: str | None, *, roll_back: bool = False) -> Iterator[str]:
        """Note which task a message or a stop says to have interrupted, the oldest that it has."""
        victims = [turn for turn in self.turns if turn.task == task]
        if task is not None and not victims:
            yield f"it says to have interrupted {task}, which is no turn's"
        for victim in victims:
            if victim not in self.may_be_open():
                yield f"it says to have interrupted turn {victim.number}, which was over"
            for turn in self.may_be_open():
                if turn is victim:
                    turn.may, turn.hidden = {"interrupted"}, roll_back
                elif turn.number > victim.number:
                    operated = "interrupted" in turn.may  # by an operator, who was first, or not
                    turn.hidden = None if roll_back and operated else roll_back
                    turn.may.add("interrupted")
        self._all_over()

    def refused(self, when_busy: str, task: str | None) -> Iterator[str]:
        """Note a message that was refused, for the sake of this task where it says so."""
        if when_busy not in ("reject", "steer"):
            yield f"{when_busy} was refused"
        if when_busy == "reject" and task not in [turn.task for turn in self.may_be_open()]:
            yield f"it was rejected for {task}, which is not at work"

    def _steered(self, request: Request) -> Iterator[str]:
        answer, task = request.answer, request.body["expected_task_id"]
        turn = next(turn for turn in self.turns if turn.task == task)
        if answer != {"turn": turn.number, "task_id": task, "interrupted": None}:
            yield f"turn {turn.number} was steered, the answer is {answer}"
        if turn not in self.may_be_open():
            yield f"turn {turn.number} was steered, which was over"
        turn.said.append(request.body["content"])

    def _all_over(self) -> None:
        for turn in self.turns:
            turn.must_be_over = True

    def compare(self, turns: list[dict[str, Any]]) -> Iterator[str]:
        """What is wrong with the answer to `get_turns`."""
        said = [turn.said[0] for turn in self.turns]
        if [turn["content"] for turn in turns] != said:
            yield f"the turns hold {[turn['content'] for turn in turns]}, but accepted were {said}"
        for seen, turn in zip(turns, self.turns, strict=False):
            name = f"turn {turn.number}"
            if (seen["turn"], seen["task_id"]) != (turn.number, turn.task):
                yield f"{name} has another number or task than its message was answered"
            if turn.end is not None and seen != turn.end:
                yield f"{name} was over, and has changed since: {turn.end}, now {seen}"
            if seen["status"] != "running":
                if seen["status"] not in turn.may:
                    yield f"{name} is {seen['status']}, but can only be {_either(turn.may)}"
                turn.end = seen
            elif turn.must_be_over:
                yield f"{name} is still at work"

    def compare_history(self, history: list[dict[str, Any]]) -> Iterator[str]:
        """What is wrong with the answer to `get_history`, once all turns are over."""
        for turn in self.turns:
            entries = [entry for entry in history if entry["turn"] == turn.number]
            said = [entry["content"] for entry in entries if entry["role"] == "user"]
            answers = sum(entry["role"] == "assistant" for entry in entries)
            if (said, answers) != (turn.said, 1) and not (turn.hidden is not False and not entries):
                yield f"the history of turn {turn.number} is {entries}"
            if turn.hidden and entries:
                yield f"turn {turn.number} was rolled back, and is in the history"
        if [entry["turn"] for entry in history] != sorted(entry["turn"] for entry in history):
            yield f"the history is out of order: {[entry['turn'] for entry in history]}"


def _either(statuses: set[str]) -> str:
    return " or ".join(sorted(statuses))
