"""The command line of the random load. Standard library only: nothing may be set up yet."""

from __future__ import annotations

import argparse
import random
from typing import NoReturn

_FAULTS = ("agent", "server", "model", "hang")

_DESCRIPTION = """\
Set up what is missing; then let sessions send messages at random moments, stop, retry, cancel,
kill, pause and resume, while the agent and the server are killed and the model fails. In the end
every session is checked: no message lost or doubled, nothing left at work, every token counted.
The exit code is 1 if something is wrong; then the logs are kept, and their folder is printed.
"""


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def parse(arguments: list[str]) -> argparse.Namespace:
    """What the arguments ask for; exits with 0 for --help and with 2 for a mistake."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = _Parser(prog="stress", description=_DESCRIPTION, formatter_class=layout)
    parser.add_argument("--seconds", type=_seconds, default=60.0, help="how long (default: 60)")
    parser.add_argument("--sessions", type=_sessions, default=6, help="how many (default: 6)")
    parser.add_argument(
        "--faults",
        type=_faults,
        default=_FAULTS,
        metavar="NAME,…",
        help=f"of {', '.join(_FAULTS)}; or none, or all (default: all)",
    )
    parser.add_argument(
        "--seed",
        type=_seed,
        default=random.randrange(10**6),
        help="repeats the actions of another run (default: a new one)",
    )
    parser.add_argument(
        "--alone", action="store_true", help="nobody resumes what is paused while the run lasts"
    )
    return parser.parse_args(arguments)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 1 to 86400")
    return seconds


def _sessions(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 100")
    return int(text)


def _faults(text: str) -> tuple[str, ...]:
    if text in ("none", "all"):
        return _FAULTS if text == "all" else ()
    names = tuple(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in _FAULTS:
            known = ", ".join(_FAULTS)
            raise argparse.ArgumentTypeError(f"{name!r} is none of {known}; or say none, or all")
    return names


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)
