"""Records of the model's requests: who sent each, how far it got, and when.

The records are what the lessons prove things with ("no token was sent after the interruption"), so
they hold the model's own counts and clock, and of a request no key and no more than its first line.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

Step = Literal["plan", "write", "review", "other"]
Status = Literal["streaming", "completed", "hung up", "cut", "refused"]

_KEPT = 10_000
# Times are unix seconds, but counted on the monotonic clock, so that differences are durations.
_EPOCH = time.time() - time.monotonic()


def _now() -> float:
    return _EPOCH + time.monotonic()


@dataclass
class ModelRequest:
    """One request as the model saw it. Times are unix seconds; None is what did not happen (yet).

    `label` is the client's `X-Client-Request-Id`; `model` the name of the model that it asked for;
    `prompt` the first line of the last user message, 200 characters at most; `completion_tokens`
    are those sent so far; `http_status` is None while nothing was answered, and stays so for a
    dropped connection.
    """

    number: int
    label: str
    prompt: str = ""
    step: Step = "other"
    model: str = ""
    status: Status = "streaming"
    http_status: int | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    started_at: float = field(default_factory=_now)
    first_token_at: float | None = None
    last_token_at: float | None = None
    ended_at: float | None = None

    def count_sent(self, tokens: int) -> None:
        """Note that so many further tokens have been sent."""
        now = _now()
        self.completion_tokens += tokens
        self.first_token_at = self.first_token_at or now
        self.last_token_at = now

    def end(self, status: Status) -> None:
        """Close the record."""
        self.status = status
        self.ended_at = _now()


class RequestLog:
    """The latest requests, in the order in which they came."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._requests: deque[ModelRequest] = deque(maxlen=_KEPT)

    def open(self, label: str) -> ModelRequest:
        """Begin the record of a request that has just come."""
        self._requests.append(ModelRequest(next(self._numbers), label))
        return self._requests[-1]

    def requests(self, label_prefix: str = "", after: int = 0) -> list[ModelRequest]:
        """Return the requests whose label begins so, with a number above `after`."""
        return [
            request
            for request in self._requests
            if request.number > after and request.label.startswith(label_prefix)
        ]
