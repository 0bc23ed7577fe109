"""What a session must look like, worked out from what was done to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass
class ExpectedTurn:
    """A message that was accepted.

    Attributes:
        may: how it may end, given what was done to it so far.
        end: the turn as it was first seen to be over; it stays so for good.
    """

    number: int
    content: str
    key: str
    answer: dict[str, Any]
    may: set[str]
    end: dict[str, Any] | None = None

    @property
    def task(self) -> str:
        return str(self.answer["task_id"])

    def may_become(self, status: str) -> None:
        """Note that something was done to it which may end it in this way."""
        if self.end is None:
            self.may.add(status)


class ExpectedSession:
    """The turns that must be there. Left alone, each is completed; all else has had a cause."""

    def __init__(self) -> None:
        self.turns: list[ExpectedTurn] = []

    @property
    def newest(self) -> ExpectedTurn | None:
        return self.turns[-1] if self.turns else None

    @property
    def tasks(self) -> list[str]:
        return [turn.task for turn in self.turns]

    def accepted(self, content: str, key: str, answer: dict[str, Any]) -> Iterator[str]:
        """Note the answer to a new message; what is wrong with it comes back."""
        if answer["turn"] != len(self.turns) + 1:
            yield f"the message became turn {answer['turn']}, not {len(self.turns) + 1}"
        yield from self.interrupted(answer)
        self.turns.append(ExpectedTurn(answer["turn"], content, key, answer, may={"completed"}))

    def interrupted(self, answer: dict[str, Any]) -> Iterator[str]:
        """Note which task a message or a stop says to have interrupted."""
        task, newest = answer["interrupted"], self.newest
        if task is None:
            return  # the task had come to its end some other way, or there was none
        if newest is None or task != newest.task:
            yield "it says to have interrupted a task that is not the newest turn's"
        elif newest.end is not None:
            yield f"it says to have interrupted turn {newest.number}, which was over"
        else:
            newest.may = {"interrupted"}

    def compare(self, turns: list[dict[str, Any]]) -> Iterator[str]:
        """What is wrong with the answer to `get_turns`."""
        said = [turn.content for turn in self.turns]
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
            elif turn is not self.newest:
                yield f"{name} is at work, and so is a later one"


def _either(statuses: set[str]) -> str:
    return " or ".join(sorted(statuses))
