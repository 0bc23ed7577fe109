"""What the model remembers of each request: who sent it, how far it got, and when.

The records are what the lessons prove things with ("no token was sent after the interruption"), so
they hold the model's own counts and clock, and nothing else of a request: no key, no prompt.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from itertools import count
from typing import Literal

Step = Literal["plan", "write", "review", "other"]
Status = Literal["streaming", "completed", "hung up", "cut", "refused"]

_KEPT = 10_000
# Times are unix seconds, but counted on the monotonic clock, so that differences are durations.
_EPOCH = time.time() - time.monotonic()


@dataclass(frozen=True)
class ModelRequest:
    """One request as the model saw it. Times are unix seconds; None is what did not happen (yet).

    `label` is the client's `X-Client-Request-Id`; `completion_tokens` are those sent so far;
    `http_status` is None while nothing was answered, and stays so for a dropped connection.
    """

    number: int
    label: str
    step: Step
    status: Status
    http_status: int | None
    prompt_tokens: int
    completion_tokens: int
    started_at: float
    first_token_at: float | None
    last_token_at: float | None
    ended_at: float | None


class Record:
    """The request that is being answered: replaced by a new `ModelRequest` whenever it gets on."""

    def __init__(self, number: int, label: str) -> None:
        self.request = ModelRequest(
            number=number,
            label=label,
            step="other",
            status="streaming",
            http_status=None,
            prompt_tokens=0,
            completion_tokens=0,
            started_at=_now(),
            first_token_at=None,
            last_token_at=None,
            ended_at=None,
        )

    def understood(self, step: Step, prompt_tokens: int) -> None:
        self.request = replace(self.request, step=step, prompt_tokens=prompt_tokens)

    def answering(self, http_status: int) -> None:
        self.request = replace(self.request, http_status=http_status)

    def sent(self, tokens: int) -> None:
        now = _now()
        self.request = replace(
            self.request,
            completion_tokens=self.request.completion_tokens + tokens,
            first_token_at=self.request.first_token_at or now,
            last_token_at=now,
        )

    def ended(self, status: Status) -> None:
        self.request = replace(self.request, status=status, ended_at=_now())


class RequestLog:
    """The latest requests, in the order in which they came; numbers go on after a `clear`."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._records: deque[Record] = deque(maxlen=_KEPT)

    def open(self, label: str) -> Record:
        record = Record(next(self._numbers), label)
        self._records.append(record)
        return record

    def requests(self, label_prefix: str = "", after: int = 0) -> list[ModelRequest]:
        return [
            r.request
            for r in self._records
            if r.request.number > after and r.request.label.startswith(label_prefix)
        ]

    def clear(self) -> None:
        self._records.clear()


def _now() -> float:
    return _EPOCH + time.monotonic()
