"""What must hold around a session's turns when nothing is at work any more."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from tests.stack import Session

_STATUS = {
    "[409] cancelled": "interrupted",
    "[409] canceled": "interrupted",
    "[409] killed": "killed",
    None: "completed",
}


def faults(session: Session, turns: list[dict[str, Any]]) -> Iterator[str]:
    """What is wrong with a quiet session that has these turns."""
    yield from _tasks(session, turns)
    yield from _workspace(session, turns)
    yield from _generation(session, turns)
    yield from _usage(session, turns)


def _tasks(session: Session, turns: list[dict[str, Any]]) -> Iterator[str]:
    rows = session.stack.admin.query(
        "SELECT id, completion_failure FROM sys_invocation WHERE target = 'CodingTask/run_task' "
        f"AND invoked_by_target LIKE 'CodingAgent/{session.key}/%'"
    )
    failures = {row["id"]: row.get("completion_failure") for row in rows}
    if sorted(failures) != sorted(turn["task_id"] for turn in turns):
        yield f"there are {len(failures)} tasks, and {len(turns)} turns"
    for turn in turns:
        failure = failures.get(turn["task_id"])
        if turn["status"] != _STATUS.get(failure, "failed"):
            yield f"turn {turn['turn']} is {turn['status']}, but its task ended {failure}"


def _workspace(session: Session, turns: list[dict[str, Any]]) -> Iterator[str]:
    if session.has_draft():
        yield "a draft is left over"
    completed = [turn["turn"] for turn in turns if turn["status"] == "completed"]
    files = sorted(session.files())
    if bool(files) != bool(completed):
        yield f"the workspace holds {files}, and the turns {completed} are completed"


def _generation(session: Session, turns: list[dict[str, Any]]) -> Iterator[str]:
    """The model never worked on two turns at once."""
    spans = [
        (turn["turn"], min(r.started_at for r in requests), max(r.ended_at or 0 for r in requests))
        for turn in turns
        if (requests := session.requests(turn["turn"]))
    ]
    for (old, _, end), (new, begin, _) in pairwise(spans):
        if end > begin:
            yield f"turns {old} and {new} generated at once, for {end - begin:.3f} s"


def _usage(session: Session, turns: list[dict[str, Any]]) -> Iterator[str]:
    """No more tokens are counted than were sent, and no answer that was used goes uncounted.

    In between is what a crash or a kill keeps from being counted.
    """
    counted, requests = session.usage()["completion_tokens"], session.requests()
    sent = sum(request.completion_tokens for request in requests)
    completed = {turn["turn"] for turn in turns if turn["status"] == "completed"}
    used = {  # by label: after a crash the same answer may have been asked for again
        request.label: request.completion_tokens
        for request in requests
        if request.status == "completed" and int(request.label.split("/")[1]) in completed
    }
    if not sum(used.values()) <= counted <= sent:
        yield f"{counted} tokens are counted; {sum(used.values())} were used, {sent} sent"
