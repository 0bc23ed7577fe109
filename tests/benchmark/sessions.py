"""One session under load: a message, then interruptions, each at its task's first token."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.benchmark.first_tokens import FirstTokens
from tests.benchmark.patterns import Pattern

# Longer than any queue of a level takes; what takes longer counts as an error.
_PATIENCE = 180.0

LEAST_ROUNDS = 2
"""The naive pattern misses every second interruption, so each session makes two at least."""

# Loaded once: a client that makes its own takes 20 ms, though it never speaks TLS here.
_SSL = ssl.create_default_context()


@dataclass(frozen=True)
class Interruption:
    """A message that was sent while the task of the turn before was at work. Times are unix."""

    session: str
    turn: int
    """Of the new task; the old one is that of the turn before."""
    old_task: str
    sent_at: float
    answered_at: float


@dataclass
class Session:
    """A client of its own: with a thousand connections in one pool, httpx would be what is
    measured.
    """

    pattern: Pattern
    key: str
    ingress_url: str
    tokens: FirstTokens
    turn: int = 0
    task: str = ""
    interruptions: list[Interruption] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._http = httpx.AsyncClient(
            base_url=self.ingress_url, timeout=_PATIENCE, trust_env=False, verify=_SSL
        )

    async def open(self) -> None:
        """Send the first message and wait until its task streams."""
        await self._guarded(self._message())

    async def interrupt(self, rounds: int, until: float) -> None:
        """Interrupt at most `rounds` times, and begin none after `until` on the monotonic clock."""
        for number in range(rounds):
            if self.errors or (number >= LEAST_ROUNDS and time.monotonic() > until):
                return
            await self._guarded(self._interrupt())

    async def stop(self) -> None:
        """End the task at work, where the agent can do that."""
        await self._guarded(self._call("stop"))

    async def close(self) -> None:
        await self._http.aclose()

    async def _interrupt(self) -> None:
        old_task, sent_at = self.task, time.time()
        answered_at = await self._message()
        self.interruptions.append(Interruption(self.key, self.turn, old_task, sent_at, answered_at))

    async def _message(self) -> float:
        """Send a message, wait until its task streams; when it was answered, in unix seconds."""
        answer = await self._call("message", {"content": "Write a to-do CLI"})
        answered_at = time.time()
        self.turn, self.task = answer["turn"], answer["task_id"]
        await self.tokens.of(self.key, self.turn, timeout=_PATIENCE)
        return answered_at

    async def _call(self, handler: str, body: object = None) -> dict[str, Any]:
        response = await self._http.post(f"/{self.pattern.agent}/{self.key}/{handler}", json=body)
        response.raise_for_status()
        return dict(response.json())

    async def _guarded(self, step: Coroutine[Any, Any, object]) -> None:
        try:
            await step
        except httpx.HTTPStatusError as error:
            self.errors.append(f"{error.response.status_code} {error.response.text[:80]}")
        except httpx.HTTPError as error:
            self.errors.append(f"{type(error).__name__} of a request")
        except asyncio.TimeoutError:  # not the built-in one, before Python 3.11
            self.errors.append(f"no first token within {_PATIENCE:g} s")
