"""What the model has seen: one task of a session at a time, and none that was interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from tests.stress.picture import Picture


def one_task_at_a_time(picture: Picture) -> Iterator[str]:
    """Never are two turns of a session generating at once."""
    spans: dict[int, tuple[float, float]] = {}
    for request in picture.requests:
        number = picture.turn_of(request)
        ended = request.started_at if request.ended_at is None else request.ended_at
        begin, end = spans.get(number, (request.started_at, ended))
        spans[number] = (min(begin, request.started_at), max(end, ended))
        if request.ended_at is None:
            yield f"the model is still answering {request.label}"
    for (old, (_, end)), (new, (begin, _)) in pairwise(sorted(spans.items())):
        if end > begin:
            yield f"turns {old} and {new} generated at once, for {end - begin:.3f} s"


def no_token_after_an_interruption(picture: Picture) -> Iterator[str]:
    """Once it is answered that something was interrupted, nothing more is sent for it."""
    last_token: dict[int, float] = {}
    for request in picture.requests:
        number = picture.turn_of(request)
        last_token[number] = max(last_token.get(number, 0.0), request.last_token_at or 0.0)
    for sent in picture.ledger.sent:
        turn = picture.by_task.get((sent.accepted or {}).get("interrupted") or "")
        answered = sent.answered_at or 0.0
        if turn and last_token.get(turn["turn"], 0.0) > answered:
            late = last_token[turn["turn"]] - answered
            yield f"turn {turn['turn']} went on for {late:.3f} s after its interruption"
    for began, answered in picture.ledger.stops:
        for sent in picture.ledger.sent:
            if sent.accepted and (sent.answered_at or 0.0) < began:
                late = last_token.get(sent.accepted["turn"], 0.0) - answered
                if late > 0:
                    yield f"turn {sent.accepted['turn']} went on for {late:.3f} s after a stop"
