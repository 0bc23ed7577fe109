"""Turns: each over, as its task says, when it must be, and for good."""

from __future__ import annotations

from collections.abc import Iterator

from tests.stress.invariants.causes import CLOCK
from tests.stress.picture import Picture
from workbench.views.clock import instant

# Seconds: how long an answer may take on a busy machine, and how long it is until what was
# away is asked again.
_SOON, _RECOVERY = 8.0, 15.0

_STATUS = {
    "[409] cancelled": "interrupted",
    "[409] canceled": "interrupted",
    "[409] killed": "killed",
}


def numbered_without_gaps(picture: Picture) -> Iterator[str]:
    numbers = [turn["turn"] for turn in picture.turns]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"turns are numbered {numbers}"


def over_as_their_tasks_are(picture: Picture) -> Iterator[str]:
    """Each turn has the status that its task's invocation says; each task is one of a turn."""
    for turn in picture.turns:
        row = picture.tasks.get(turn["task_id"])
        if row is None:
            yield f"turn {turn['turn']} has a task that is not there"
            continue
        failure = row.get("completion_failure")
        expected = _STATUS.get(failure, "failed") if failure else "completed"
        if row["status"] != "completed":
            expected = "running"
        if turn["status"] != expected:
            yield (
                f"turn {turn['turn']} is {turn['status']}, its task {turn['task_id']} is "
                f"{row['status']}, {failure or 'without a failure'}"
            )
    for id in picture.tasks.keys() - picture.by_task.keys():
        # The kill of a message may have met it between sending a task and noting it; then it has
        # met the task too.
        killed = any(
            deed.verb == "kill" and deed.target.startswith("CodingAgent/")
            for deed in picture.ledger.deeds
        )
        if not (killed and picture.tasks[id].get("completion_failure") == "[409] killed"):
            yield f"task {id} belongs to no turn"


def over_is_over(picture: Picture) -> Iterator[str]:
    """A turn that was seen over has not changed since."""
    turns = {turn["turn"]: turn for turn in picture.turns}
    for number, seen in picture.ledger.seen.items():
        if turns.get(number) != seen:
            yield f"turn {number} was over as {seen}, and is now {turns.get(number)}"


def over_when_that_is_answered(picture: Picture) -> Iterator[str]:
    """Whoever is answered that all before was interrupted finds it over, down to the last step."""
    answered: dict[int, float] = {}  # by turn, when all before it was over
    for sent in picture.ledger.sent:
        if sent.accepted and sent.answered_at and sent.when_busy in (None, "interrupt", "rollback"):
            answered[sent.accepted["turn"]] = sent.answered_at
    for stop in picture.ledger.stops:
        before = [
            sent.accepted["turn"]
            for sent in picture.ledger.sent
            if sent.accepted and (sent.answered_at or 0.0) < stop.began_at
        ]
        if stop.answered_at and before:
            number = max(before) + 1
            answered[number] = min(stop.answered_at, answered.get(number, stop.answered_at))
    for task, turn in picture.by_task.items():
        limit = min((at for number, at in answered.items() if number > turn["turn"]), default=None)
        if limit is None:
            continue
        rows = [picture.tasks.get(task, {})]
        if turn["status"] != "killed":  # a kill goes down a tree step by step
            rows += [
                row
                for row in picture.steps.values()
                if row["invoked_by_id"] == task and row["target"].startswith("CodingTask/")
            ]
        for row in rows:
            end = row.get("completed_at")
            late = instant(end).timestamp() - limit if end else 0.0
            if late > CLOCK:
                yield (
                    f"{row['target']} of turn {turn['turn']} ended {late:.3f} s after it was "
                    "answered that it was over"
                )


def answered_soon(picture: Picture) -> Iterator[str]:
    """Nobody is kept waiting, however much is to be interrupted, as long as server and agent are
    there and nobody has paused what is to hear of it.
    """
    asked = [(repr(sent.content), sent.began_at, sent.answered_at) for sent in picture.ledger.sent]
    asked += [("a stop", stop.began_at, stop.answered_at) for stop in picture.ledger.stops]
    hindered = [
        (trouble.began_at, trouble.ended_at)
        for trouble in picture.around.troubles
        if trouble.kind in ("agent", "server")
    ]
    hindered += [(deed.at, deed.at) for deed in picture.ledger.deeds if deed.verb == "pause"]
    for what, began, answered in asked:
        if began is None or answered is None or answered - began <= _SOON:
            continue
        if not any(begin <= answered and began <= end + _RECOVERY for begin, end in hindered):
            yield f"{what} was answered after {answered - began:.1f} s"


def nothing_left_open(picture: Picture) -> Iterator[str]:
    undone = any(
        deed.verb == "kill" and deed.target == f"Workspace/{picture.key}/rollback"
        for deed in picture.ledger.deeds
    )
    if picture.draft and not undone:
        yield "a draft is left over"
    if picture.status["status"] != "idle":
        yield f"get_status says {picture.status}"
