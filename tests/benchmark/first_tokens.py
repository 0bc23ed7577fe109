"""Tells sessions when the model has streamed the first token of a turn: one poller for them all."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from workbench import ScriptedModel
from workbench.model import ModelRequest

_INTERVAL = 0.02
_LONGEST_INTERVAL = 0.5
_SHARE = 0.15  # of its time, the model is busy with answering the poller; about, and at most


class FirstTokens:
    """What the model has recorded since this was made.

    A poll lists the requests after the last one before which all have had their first token: not
    all of them, and with thousands of streams no more often than the model can bear.
    """

    def __init__(self, model: ScriptedModel) -> None:
        self._model = model
        self._begin = max((request.number for request in model.requests()), default=0)
        self._settled = self._begin
        self._streaming: dict[str, asyncio.Future[None]] = {}

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[FirstTokens]:
        """Poll the model within the block. Raises WorkbenchError if the model is gone."""
        poller = asyncio.create_task(self._poll())
        try:
            yield self
            if poller.done():
                poller.result()
        finally:
            poller.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await poller

    async def of(self, session: str, turn: int, *, timeout: float) -> None:
        """Wait until a request of this turn streams. Raises asyncio.TimeoutError."""
        await asyncio.wait_for(asyncio.shield(self._turn(f"{session}/{turn}")), timeout)

    def records(self) -> list[ModelRequest]:
        """All requests since this was made, as they are now."""
        return self._model.requests(after=self._begin)

    def _turn(self, turn: str) -> asyncio.Future[None]:
        if turn not in self._streaming:
            self._streaming[turn] = asyncio.get_running_loop().create_future()
        return self._streaming[turn]

    async def _poll(self) -> None:
        while True:
            began = time.monotonic()
            requests = await asyncio.to_thread(self._model.requests, after=self._settled)
            for request in requests:
                turn = self._turn(turn_of(request))
                if request.first_token_at is not None and not turn.done():
                    turn.set_result(None)
            for request in requests:
                if request.first_token_at is None and request.ended_at is None:
                    break
                self._settled = request.number
            took = time.monotonic() - began
            await asyncio.sleep(min(max(_INTERVAL, took / _SHARE), _LONGEST_INTERVAL))


def turn_of(request: ModelRequest) -> str:
    """`session/turn`, out of the label `session/turn/step`."""
    return "/".join(request.label.split("/")[:2])
