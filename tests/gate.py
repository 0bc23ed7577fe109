"""A place in a handler where a test holds it, so that no order depends on how long a step takes.

`tests/claims` and `tests/lessons` serve handlers in the test's own process, and hold them with it.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

from workbench import wait_until


class Gate:
    """Blocks a handler until opened. It is not a Restate await: no cancellation surfaces here."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._opened: Future[None] = Future()

    async def passed(self) -> None:
        self._reached.set()
        # Shielded: an attempt that ends takes its own wait along, not everybody's.
        await asyncio.shield(asyncio.wrap_future(self._opened))

    def wait_reached(self) -> None:
        wait_until(self._reached.is_set, what="a gate to be reached")

    def open(self) -> None:
        self._opened.set_result(None)
