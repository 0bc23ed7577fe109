"""The command line of the benchmarks. Standard library only: nothing may be set up yet."""

from __future__ import annotations

import argparse


def parse(arguments: list[str]) -> argparse.Namespace:
    """What the arguments ask for; exits with 0 for --help and with 2 for a mistake."""
    parser = argparse.ArgumentParser(
        prog="benchmark",
        description="Measure on this machine, with the scripted model; a Markdown table goes to "
        "stdout, progress to stderr.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="{load,long-session}")

    load = commands.add_parser(
        "load",
        help="what an interruption costs, as a multiple of the plain pattern",
        description="Sessions side by side interrupt their task again and again, each as soon as "
        "the task's first token has been streamed; runs of this agent and of the plain pattern "
        "take turns. Exits with 1 if a message failed or if the agent missed an interruption.",
    )
    load.add_argument(
        "--sessions",
        type=_counts,
        default=[1, 20, 100],
        metavar="N,N,…",
        help="sessions at once, one level after the other (default: 1,20,100)",
    )
    load.add_argument(
        "--runs",
        type=_count,
        default=5,
        metavar="N",
        help="of both patterns at each level (default: %(default)s)",
    )
    load.add_argument(
        "--rounds",
        type=_count,
        metavar="N",
        help="interruptions per session and run (default: 60, but 160 of all sessions together, "
        "and 2 at least)",
    )

    long_session = commands.add_parser(
        "long-session",
        help="what a message costs at turn 1,000, against turn 1",
        description="A session with many turns beside two with few. Exits with 1 if a ratio is "
        "above 1.2.",
    )
    long_session.add_argument("--turns", type=_turns, default=1000, help="default: %(default)s")
    return parser.parse_args(arguments)


_LEAST_TURNS = 100  # fewer, and the parts that are compared would be one (see long_session.py)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _counts(text: str) -> list[int]:
    return [_count(part) for part in text.split(",")]


def _turns(text: str) -> int:
    turns = _count(text)
    if turns < _LEAST_TURNS:
        raise argparse.ArgumentTypeError(
            f"{turns} turns are too few to compare: it takes {_LEAST_TURNS}"
        )
    return turns
