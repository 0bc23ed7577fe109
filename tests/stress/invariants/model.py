"""What the model has seen: one task of a session at a time, and none that was interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from tests.stress.picture import Picture

# How long the model may take to notice that its caller has hung up, and send a token meanwhile, if
# the machine has more to do than it can: 0.5 s were seen. (`over_when_that_is_answered` asks the
# server, which knows to the millisecond.)
_NOTICED = 1.0


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
        if end - begin > _NOTICED:
            yield f"turns {old} and {new} generated at once, for {end - begin:.3f} s"


def no_token_after_an_interruption(picture: Picture) -> Iterator[str]:
    """Once it is answered that something was interrupted, nothing more is sent for it."""
    last_token: dict[int, float] = {}
    for request in picture.requests:
        number = picture.turn_of(request)
        last_token[number] = max(last_token.get(number, 0.0), request.last_token_at or 0.0)
    for sent in picture.ledger.sent:
        turn = picture.by_task.get((sent.accepted or {}).get("interrupted") or "")
        late = last_token.get(turn["turn"], 0.0) - (sent.answered_at or 0.0) if turn else 0.0
        if turn and late > _NOTICED:
            yield f"turn {turn['turn']} went on for {late:.3f} s after its interruption"
    for stop in picture.ledger.stops:
        for sent in picture.ledger.sent:
            if stop.answered_at and sent.accepted and (sent.answered_at or 0.0) < stop.began_at:
                late = last_token.get(sent.accepted["turn"], 0.0) - stop.answered_at
                if late > _NOTICED:
                    yield f"turn {sent.accepted['turn']} went on for {late:.3f} s after a stop"
