"""Usage: what is counted is what the model has sent, as far as anyone can know."""

from __future__ import annotations

from collections.abc import Iterator

from tests.stress.picture import Picture
from workbench import ModelRequest
from workbench.views.clock import instant

# Whether the tokens of attempts that broke off are counted with the attempt that follows.
FAILED_ATTEMPTS_COUNT = False

# What the model has sent of a call and its caller has not read when it hangs up: in most calls
# nothing, and never more than what the model sends in 0.1 s.
SLACK = 60

# What was done this long before a SIGKILL may not be on record yet.
_UNSAVED_SECONDS = 1.0


def tokens_are_counted(picture: Picture) -> Iterator[str]:
    """Between what surely was counted and all that was sent."""
    everything, certain = picture.requests, certain_calls(picture)
    slack = SLACK * sum(request.status == "hung up" for request in certain)
    least = sum(request.completion_tokens for request in certain) - slack
    most = sum(request.completion_tokens for request in everything)
    counted = picture.usage["completion_tokens"]
    if not least <= counted <= most:
        yield f"{counted} completion tokens are counted; {least} to {most} were sent"
    least = sum(request.prompt_tokens for request in certain if request.status == "completed")
    most = sum(request.prompt_tokens for request in everything)
    counted = picture.usage["prompt_tokens"]
    if not least <= counted <= most:
        yield f"{counted} prompt tokens are counted; {least} to {most} were sent"


def certain_calls(picture: Picture) -> list[ModelRequest]:
    """The calls whose tokens must be counted: no SIGKILL came in between, and no operator."""
    doubtful = _doubtful_turns(picture)
    return [
        request
        for request in picture.requests
        if picture.turn_of(request) not in doubtful
        and not _was_cut_off(picture, request)
        and (FAILED_ATTEMPTS_COUNT or request.status in ("completed", "hung up"))
    ]


def _was_cut_off(picture: Picture, request: ModelRequest) -> bool:
    """Whether the call was under way when the agent or the server was killed, or its task was by
    the kill of the message that had just sent it: such a task is none of any turn.
    """
    gaps = [(outage.began_at, outage.ended_at) for outage in picture.outages]
    for id in picture.tasks.keys() - picture.by_task.keys():
        row = picture.tasks[id]
        if row.get("completed_at"):
            gaps.append(
                (instant(row["created_at"]).timestamp(), instant(row["completed_at"]).timestamp())
            )
    ended = request.ended_at or request.started_at
    return any(request.started_at < end and begin < ended + _UNSAVED_SECONDS for begin, end in gaps)


def _doubtful_turns(picture: Picture) -> set[int]:
    """Turns of which something was killed, or the note of their tokens was cancelled."""
    killed = {turn["turn"] for turn in picture.turns if turn["status"] == "killed"}
    for deed in picture.ledger.deeds:
        if deed.verb == "kill" or (deed.verb == "cancel" and "UsageMeter" in deed.target):
            turn = picture.by_task.get(deed.task or "")
            killed |= {turn["turn"]} if turn else set()
    return killed
