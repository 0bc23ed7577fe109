"""What completed turns have left: the very answers of the model, and nothing else.

The scripted model answers a request always alike, so what it has said can be worked out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.stress.picture import Picture, pieces
from workbench.scripted_model.answers import answer_to
from workbench.scripted_model.openai_format import Message

Files = frozenset[tuple[str, str]]

# How many seconds after the end of a task its session may not know of that yet.
_JUST = 5.0


@dataclass(frozen=True)
class _Program:
    """What the model says to a request."""

    summary: str
    files: Files
    answer: str


@cache
def _program(request: str) -> _Program:
    plan = json.loads(_answer("plan", request))
    task = f"Request: {request}\n\nPlan: {plan['summary']}"
    files = {
        file["path"]: _answer("write one file of", f"{task}\n\nFile: {file['path']}")
        for file in plan["files"]
    }
    return _Program(plan["summary"], frozenset(files.items()), _answer("review", task))


def _answer(step: str, prompt: str) -> str:
    system = f"You {step} a small Python program."
    return answer_to([Message(role="system", content=system), Message(role="user", content=prompt)])


def _programs(picture: Picture, turn: dict[str, Any]) -> list[_Program]:
    """What a turn may have been asked for at its end, the likeliest first: all that was said to it,
    or, where it did not live to take all of it, less.
    """
    said = next(
        (
            pieces(entry["content"])
            for entry in picture.history
            if (entry["turn"], entry["role"]) == (turn["turn"], "user")
        ),
        pieces(turn["content"]),
    )
    least = len(pieces(turn["content"]))
    if turn["status"] == "completed" and not _interrupted_at_the_end(picture, turn):
        least = len(said)
    return [_program("\n\n".join(said[:count])) for count in range(len(said), least - 1, -1)]


def _interrupted_at_the_end(picture: Picture, turn: dict[str, Any]) -> bool:
    """Whether an interruption has met a task that had just come to its end."""
    _, end = picture.span(turn["task_id"])
    times = [
        (sent.began_at, sent.answered_at)
        for sent in picture.ledger.sent
        if sent.when_busy in (None, "interrupt", "rollback") and sent.began_at
    ]
    times += [(stop.began_at, stop.answered_at) for stop in picture.ledger.stops]
    return any(began - _JUST <= end <= (over or float("inf")) for began, over in times)


def completed_as_the_model_answered(picture: Picture) -> Iterator[str]:
    """A completed turn has the plan and the answer that the model gives to what was said to it."""
    for turn in picture.turns:
        if turn["status"] != "completed":
            continue
        plan, answer = turn["plan"] or "", turn["answer"] or ""
        if not any(
            program.summary in plan
            and program.answer == answer
            and all(path in plan for path, _ in program.files)
            for program in _programs(picture, turn)
        ):
            yield (
                f"turn {turn['turn']} is completed with a plan or an answer of something else than "
                f"was said to it: {plan!r}, {answer!r}"
            )


def those_of_completed_turns(picture: Picture) -> Iterator[str]:
    """The workspace holds the files of the completed turns, word by word, the later over the
    earlier. A turn that was killed has left all of its files or none.
    """
    killed = {deed.task for deed in picture.ledger.deeds if deed.verb == "kill"}
    possible: set[Files] = {frozenset()}
    for turn in picture.turns:
        after: set[Files] = set()
        if turn["status"] == "completed":
            programs = _programs(picture, turn)
        elif turn["status"] == "killed" or turn["task_id"] in killed:
            programs, after = _programs(picture, turn), set(possible)
        else:
            continue
        for before in possible:
            for program in programs:
                after.add(frozenset((dict(before) | dict(program.files)).items()))
        possible = after
    found = frozenset(picture.files.items())
    if found not in possible:
        nearest = min(possible, key=lambda files: len(files ^ found))
        more, less = (
            sorted(path for path, _ in files) for files in (found - nearest, nearest - found)
        )
        yield (
            "the workspace does not hold what the completed turns have left: "
            f"{more or 'nothing'} should not be as it is, {less or 'nothing'} is missing"
        )
