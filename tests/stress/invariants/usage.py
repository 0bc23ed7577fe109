"""Usage: what is counted is what the model has sent, as far as anyone can know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.stress.picture import Picture
from workbench import ModelRequest
from workbench.views.clock import instant

# What the model has sent of a call and its caller has not read when it hangs up: 5 tokens at most
# of the 200 per second were seen, with other programs on the machine.
SLACK = 20

# What was done this long before a SIGKILL may not be on record yet.
_UNSAVED_SECONDS = 1.0


@dataclass(frozen=True)
class _Call:
    """A call whose tokens must be counted.

    Attributes:
        failed: it was an attempt that another one followed.
        in_full: caller and model agree on it to the last token. Of a call that was stopped in its
            last instant they may not, though the model takes it for completed.
    """

    request: ModelRequest
    failed: bool
    in_full: bool


def tokens_are_counted(picture: Picture) -> Iterator[str]:
    """Between what surely was counted and all that was sent."""
    everything, certain = picture.requests, _certain_calls(picture)
    yield from _between(
        "completion tokens",
        sum(call.request.completion_tokens for call in certain)
        - SLACK * sum(not call.in_full for call in certain),
        picture.usage["completion_tokens"],
        sum(request.completion_tokens for request in everything),
    )
    yield from _between(
        "prompt tokens",
        sum(call.request.prompt_tokens for call in certain if call.in_full),
        picture.usage["prompt_tokens"],
        sum(request.prompt_tokens for request in everything),
    )
    least, counted = sum(not call.failed for call in certain), picture.usage["calls"]
    if counted < least:  # more there may be: one that was stopped on its way to the model
        yield f"{counted} calls are counted; {least} were made"


def _between(what: str, least: int, counted: int, most: int) -> Iterator[str]:
    if not least <= counted <= most:
        yield f"{counted} {what} are counted; {least} to {most} were sent"


def _certain_calls(picture: Picture) -> list[_Call]:
    """Calls that brought tokens, and no SIGKILL came in between, and no operator."""
    doubtful, gaps = _doubtful_turns(picture), _gaps(picture)
    completed = {turn["turn"] for turn in picture.turns if turn["status"] == "completed"}
    followers: dict[str, ModelRequest] = {}
    calls = []
    for request in reversed(picture.requests):
        follower = followers.get(request.label)
        followers[request.label] = request
        failed = request.status == "cut" or (request.status == "hung up" and follower is not None)
        number = picture.turn_of(request)
        if number in doubtful or not request.completion_tokens or request.ended_at is None:
            continue
        counted_at = request.ended_at
        if failed:  # counted with what follows, if that comes to an end in the same process
            if follower is None:
                continue
            counted_at = follower.ended_at or counted_at
        if not any(
            request.started_at < end and begin < counted_at + _UNSAVED_SECONDS
            for begin, end in gaps
        ):
            in_full = request.status == "completed" and number in completed
            calls.append(_Call(request, failed, in_full))
    return calls


def _gaps(picture: Picture) -> list[tuple[float, float]]:
    """When the agent or the server was away; and when a task was at work that was killed with the
    message that had just sent it, and so is none of any turn.
    """
    gaps = [
        (trouble.began_at, trouble.ended_at)
        for trouble in picture.around.troubles
        if trouble.kind in ("agent", "server")
    ]
    for id in picture.tasks.keys() - picture.by_task.keys():
        row = picture.tasks[id]
        if row.get("completed_at"):
            began, ended = instant(row["created_at"]), instant(row["completed_at"])
            gaps.append((began.timestamp(), ended.timestamp()))
    return gaps


def _doubtful_turns(picture: Picture) -> set[int]:
    """Turns of which something was killed, or the note of their tokens was cancelled."""
    doubtful = {turn["turn"] for turn in picture.turns if turn["status"] == "killed"}
    for deed in picture.ledger.deeds:
        if deed.verb == "kill" or (deed.verb == "cancel" and "UsageMeter" in deed.target):
            turn = picture.by_task.get(deed.task or "")
            doubtful |= {turn["turn"]} if turn else set()
    return doubtful
