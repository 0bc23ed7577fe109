"""Paces tokens: a steady rate, until a gate holds them or the client hangs up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Receive

# Rounds of the event loop from the closing of a socket to the end of the task that waits for it.
_ROUNDS = 4


class Settings(BaseModel):
    """The model's speed. A change takes effect with the next token of every stream."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)

    tokens_per_second: float = Field(default=250.0, gt=0)
    first_token_seconds: float = Field(default=0.05, ge=0)


class Gate(BaseModel):
    """Answers to requests with the text `match` in label or prompt stop after `at` tokens."""

    model_config = ConfigDict(extra="forbid")

    match: str = ""
    at: int = Field(default=3, ge=0)


class Gates:
    """The gates that are closed. The newest word on a request counts."""

    def __init__(self) -> None:
        self._said: list[tuple[str, int | None]] = []
        self._changed = asyncio.Event()

    def hold(self, gate: Gate) -> None:
        """Close a gate."""
        self._said.append((gate.match, gate.at))

    def release(self, match: str) -> None:
        """Let go of the requests with `match` in them, those that are still to come included."""
        self._said = [*self._said, (match, None)] if match else []
        self._changed.set()
        self._changed = asyncio.Event()

    def limit(self, request: str) -> int | None:
        """The number of tokens after which the answer to this request stops; None: it does not."""
        return next((at for match, at in reversed(self._said) if match in request), None)

    async def released(self, gone: asyncio.Task[None]) -> None:
        """Return at the next release, or when the client has `gone`."""
        changed = asyncio.ensure_future(self._changed.wait())
        await asyncio.wait({gone, changed}, return_when=asyncio.FIRST_COMPLETED)
        changed.cancel()


async def disconnected(receive: Receive) -> None:
    """Return when the client has hung up. The server says so at once, also between two writes."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def paced(
    total: int, settings: Settings, gone: asyncio.Task[None], gates: Gates, request: str
) -> AsyncIterator[int]:
    """Yield how many further tokens are due, until `total` were or the client has `gone`.

    Each token is due at its own time on the clock, not a pause after the one before: the rate
    holds also where a pause is shorter than what a timer can do, by yielding more than one.
    """
    due = time.monotonic() + settings.first_token_seconds
    sent = 0
    while sent < total and not gone.done():
        limit = gates.limit(request)
        if limit is not None and sent >= limit:
            await gates.released(gone)
            due = time.monotonic()
            continue
        # With a time limit of 0, too, this lets the loop hear of a hang-up.
        await asyncio.wait({gone}, timeout=max(0.0, due - time.monotonic()))
        # A loop that was held up finds the timer and the hang-up at once, and sees to the timer
        # first: without these rounds, tokens would be recorded that nobody could receive.
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)
        if gone.done():
            return
        now = time.monotonic()
        batch = 0
        while due <= now and sent + batch < min(total, total if limit is None else limit):
            batch += 1
            due += 1 / settings.tokens_per_second
        sent += batch
        if batch:
            yield batch
