"""Runs a command: a signal becomes KeyboardInterrupt, a WorkbenchError one line on stderr."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from workbench.state_dir import WorkbenchError

__all__ = ["ignore_signals", "run_command"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_command(act: Callable[[], int]) -> int:
    """The exit code: what `act` returns, 1 after a `WorkbenchError`, 130 after a signal.

    `act` has ended what it started when it returns or raises: a first SIGINT, SIGTERM or SIGHUP
    raises KeyboardInterrupt in it, and further ones are ignored.
    """
    for number in _SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, _interrupt)
    try:
        # Whoever has started us may have held them back until here: now comes what came meanwhile.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        return act()
    except WorkbenchError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; all that was started has ended.", file=sys.stderr)
        return 130


def ignore_signals() -> None:
    """From here on nothing interrupts this process: what ends everything is under way."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    ignore_signals()
    raise KeyboardInterrupt
