"""The command line of the random load. Standard library only: nothing may be set up yet."""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable

FAULTS = ("agent", "server", "model", "hang")

_DESCRIPTION = """\
Set up what is missing; then let sessions send messages at random moments, stop, retry, cancel,
kill, pause and resume, while the agent and the server are killed and the model fails. In the end
every session is checked: no message lost or doubled, nothing left at work, every token counted.
The exit code is 1 if something is wrong; then the logs are kept, and their folder is printed.
"""


def parse(arguments: list[str]) -> argparse.Namespace:
    """What the arguments ask for; exits with 0 for --help and with 2 for a mistake."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("stress", description=_DESCRIPTION, formatter_class=layout)
    add = parser.add_argument
    add("--seconds", type=_seconds, default=60.0, help="how long (default: 60)")
    add("--sessions", type=whole_number(1, 100), default=6, help="how many (default: 6)")
    names = f"of {', '.join(FAULTS)}; or none, or all (default: all)"
    add("--faults", type=_faults, default=FAULTS, metavar="NAME,…", help=names)
    nodes = "three servers that are one cluster; the fault `server` is the loss of one of them"
    add("--cluster", action="store_true", help=nodes)
    seed = "repeats the steps of another run (default: a new one)"
    add("--seed", type=whole_number(0), default=random.randrange(10**6), help=seed)
    return parser.parse_args(arguments)


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """A type of arguments: whole numbers of this range."""

    def number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= (most or int(text)):
            to = f" to {most}" if most else ""
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least}{to}")
        return int(text)

    return number


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 1 to 86400")
    return seconds


def _faults(text: str) -> tuple[str, ...]:
    if text in ("none", "all"):
        return FAULTS if text == "all" else ()
    names = tuple(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in FAULTS:
            known = ", ".join(FAULTS)
            raise argparse.ArgumentTypeError(f"{name!r} is none of {known}; or say none, or all")
    return names
