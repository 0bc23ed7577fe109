"""Gates: answers that stop after a few tokens until they are released, however long that takes."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel, ConfigDict, Field


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
