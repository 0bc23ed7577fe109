"""Turns: each over, as its task says, with what it should leave behind and nothing more."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.stress.picture import Picture

_STATUS = {
    "[409] cancelled": "interrupted",
    "[409] canceled": "interrupted",
    "[409] killed": "killed",
}
_PLANNED = re.compile(r"^- (\S+): ", re.MULTILINE)


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
        killed = any(deed.verb == "kill" and deed.task is None for deed in picture.ledger.deeds)
        if not (killed and picture.tasks[id].get("completion_failure") == "[409] killed"):
            yield f"task {id} belongs to no turn"


def over_is_over(picture: Picture) -> Iterator[str]:
    """A turn that was seen over has not changed since."""
    turns = {turn["turn"]: turn for turn in picture.turns}
    for number, seen in picture.ledger.seen.items():
        if turns.get(number) != seen:
            yield f"turn {number} was over as {seen}, and is now {turns.get(number)}"


def completed_with_plan_answer_and_files(picture: Picture) -> Iterator[str]:
    """What completed turns have planned is in the workspace. Nothing else is, as long as no
    operator has killed something, perhaps just behind a commit.
    """
    planned = set()
    for turn in picture.turns:
        if turn["status"] != "completed":
            continue
        if not (turn["answer"] and turn["plan"]):
            yield f"turn {turn['turn']} is completed without plan or answer"
            continue
        files = set(_PLANNED.findall(turn["plan"]))
        planned |= files
        if not files:
            yield f"turn {turn['turn']} is completed with a plan that names no file"
        if missing := files - picture.files.keys():
            yield f"turn {turn['turn']} is completed, but {sorted(missing)} are not there"
    killed = any(deed.verb == "kill" for deed in picture.ledger.deeds)
    if (more := picture.files.keys() - planned) and not killed:
        yield f"{sorted(more)} are in the workspace, and no completed turn has planned them"


def nothing_left_open(picture: Picture) -> Iterator[str]:
    if picture.draft:
        yield "a draft is left over"
    if picture.status["status"] != "idle":
        yield f"get_status says {picture.status}"
