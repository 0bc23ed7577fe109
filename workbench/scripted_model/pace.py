"""Tokens at a steady rate, for as long as somebody listens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Receive

from workbench.scripted_model.gates import Gates

# Rounds of the event loop from the closing of a socket to the end of the task that waits for it.
_ROUNDS = 4


class Settings(BaseModel):
    """The model's speed. A change takes effect with the next token of every stream."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)

    tokens_per_second: float = Field(default=250.0, gt=0)
    first_token_seconds: float = Field(default=0.05, ge=0)


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
