"""Wait for a state, never for a time.

A sleep that is long enough here is too short elsewhere, and says nothing when it was. A poll goes
on as soon as the state is there, and when it is not it says what it saw instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from workbench.short import clipped
from workbench.state_dir import WorkbenchError

T = TypeVar("T")

_SELDOM = 0.1  # seconds


class WaitTimeout(WorkbenchError):
    """What was waited for did not come about in time."""


def wait_until(
    check: Callable[[], T], *, what: str, timeout: float = 10.0, every: float = 0.02
) -> T:
    """Call `check` every `every` seconds until it returns something true, and return that.

    It is called at least once, and the less often the longer the wait, down to ten times a second:
    what is waited for needs the processor too. Raises WaitTimeout after `timeout` seconds, naming
    `what` was waited for and the last value seen. What `check` raises is passed on.
    """
    began = time.monotonic()
    while True:
        waited = time.monotonic() - began
        last_chance = waited >= timeout
        value = check()
        if value:
            return value
        if last_chance:
            raise WaitTimeout(
                f"Waited {timeout:g} s for {what}, in vain.\n"
                f"Last value seen: {clipped(repr(value), 400)}"
            )
        time.sleep(max(every, min(waited / 10, _SELDOM)))
