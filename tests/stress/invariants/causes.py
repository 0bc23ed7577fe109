"""Nothing ends before it is done, and nothing pauses, unless somebody or something made it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.stress.operations import Paused
from tests.stress.picture import Picture

# The clocks of server and test are read one after the other.
CLOCK = 0.1

# What the model says once and for all; every other fault is tried again.
_LASTING = ("bad_request", "unprocessable")

# How long after its call the kill of a handler may take along what it has just sent.
_IN_PASSING = 5.0


def ends_have_a_cause(picture: Picture) -> Iterator[str]:
    """A turn that was not completed was interrupted, operated on, or refused by the model."""
    for turn in picture.turns:
        caused = {
            "interrupted": _interrupted,
            "killed": _killed,
            "failed": _failed,
        }.get(turn["status"])
        if caused and not caused(picture, turn):
            yield f"turn {turn['turn']} is {turn['status']} without a cause: {turn['error']}"


def _interrupted(picture: Picture, turn: dict[str, Any]) -> bool:
    task = turn["task_id"]
    return bool(cut_off_by(picture, task)) or any(
        deed.verb == "cancel" and deed.task == task and deed.target == "CodingTask/run_task"
        for deed in picture.ledger.deeds
    )


def _killed(picture: Picture, turn: dict[str, Any]) -> bool:
    begin, end = picture.span(turn["task_id"])
    escalated = any(
        over - began >= picture.around.cancel_timeout - CLOCK
        for began, over in cut_off_by(picture, turn["task_id"])
    )
    return escalated or any(
        deed.verb == "kill"
        and (
            (deed.task == turn["task_id"] and deed.target == "CodingTask/run_task")
            or (deed.target.startswith("CodingAgent/") and _near(deed.at, begin, end))
        )
        for deed in picture.ledger.deeds
    )


def _failed(picture: Picture, turn: dict[str, Any]) -> bool:
    begin, end = picture.span(turn["task_id"])
    return any(
        deed.task == turn["task_id"]
        and deed.verb in ("cancel", "kill")
        and deed.target != "CodingTask/run_task"
        for deed in picture.ledger.deeds
    ) or any(
        trouble.kind in _LASTING and trouble.began_at < end and begin < trouble.ended_at
        for trouble in picture.around.troubles
    )


def _near(at: float, begin: float, end: float) -> bool:
    return begin - _IN_PASSING <= at <= end + CLOCK


def cut_off_by(picture: Picture, task: str) -> list[tuple[float, float]]:
    """The messages and stops that may have interrupted a task: when they were sent and answered."""
    found = []
    number, (begin, end) = picture.number(task) or 0, picture.span(task)
    for sent in picture.ledger.sent:
        if sent.when_busy not in (None, "interrupt", "rollback") or sent.began_at is None:
            continue
        answered = sent.answered_at or float("inf")
        if sent.accepted:
            first = picture.number(sent.accepted["interrupted"])
            mine = first is not None and first <= number < sent.accepted["turn"]
        else:
            mine = sent.may_have_been_heard
        if mine and sent.began_at - CLOCK <= end and begin <= answered + CLOCK:
            found.append((sent.began_at, answered))
    for stop in picture.ledger.stops:
        answered = stop.answered_at or float("inf")
        first = picture.number(stop.interrupted)
        mine = stop.answered_at is None or (first is not None and first <= number)
        if mine and stop.began_at - CLOCK <= end and begin <= answered + CLOCK:
            found.append((stop.began_at, answered))
    return found


def pauses_have_a_cause(picture: Picture) -> Iterator[str]:
    """What was paused was so by an operator, or it is a task whose attempts were all in vain.
    Nothing else pauses: it would hold the key of a session.
    """
    for paused in picture.around.paused:
        task = _task_of(picture, paused)
        mine = task is not None or f"/{picture.key}/" in paused.target
        if mine and not _may_pause(picture, paused, task):
            yield f"{paused.target} {paused.id} was paused without a cause"


def _task_of(picture: Picture, paused: Paused) -> str | None:
    if not paused.target.startswith("CodingTask/"):
        return None
    step = picture.steps.get(paused.id, {})
    return next((id for id in (paused.id, step.get("invoked_by_id")) if id in picture.tasks), None)


def _may_pause(picture: Picture, paused: Paused, task: str | None) -> bool:
    for deed in picture.ledger.deeds:
        if deed.verb == "pause" and deed.id == paused.id and deed.at <= paused.at + CLOCK:
            return True
    if task is None:
        return False
    # An interruption that has to wait may pause a task, to have it woken elsewhere.
    if any(began <= paused.at <= over for began, over in cut_off_by(picture, task)):
        return True
    failed = Counter(
        request.label
        for request in picture.requests
        if picture.turn_of(request) == picture.number(task)
        and (request.status != "completed" or not request.completion_tokens)
    )
    if max(failed.values(), default=0) >= picture.around.attempts:
        return True
    patience = min(60.0, 0.25 * (2 ** (picture.around.attempts - 1) - 1))
    begin, _ = picture.span(task)
    return any(
        trouble.kind == "agent"
        and trouble.ended_at - trouble.began_at >= patience
        and trouble.ended_at > begin
        for trouble in picture.around.troubles
    )
