"""The command line of the benchmarks. Standard library only: nothing may be set up yet."""

from __future__ import annotations

import argparse

from tests.sessions.options import whole_number


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
    add = load.add_argument
    levels = "sessions at once, one level after the other (default: 1,20,100)"
    add("--sessions", type=_counts, default=[1, 20, 100], metavar="N,N,…", help=levels)
    runs = "of both patterns at each level (default: %(default)s)"
    add("--runs", type=whole_number(1), default=5, metavar="N", help=runs)
    rounds = (
        "interruptions per session and run (default: 60, or 160 of all sessions, but 2 at least)"
    )
    add("--rounds", type=whole_number(1), metavar="N", help=rounds)

    long_session = commands.add_parser(
        "long-session",
        help="what a message costs at turn 1,000, against turn 1",
        description="A session with many turns beside two with few. Exits with 1 if a ratio is "
        "above 1.2.",
    )
    long_session.add_argument("--turns", type=_turns, default=1000, help="default: %(default)s")
    return parser.parse_args(arguments)


def _counts(text: str) -> list[int]:
    return [whole_number(1)(part) for part in text.split(",")]


def _turns(text: str) -> int:
    turns = whole_number(1)(text)
    if turns < 100:  # then the parts that are compared would be one; see long_session.py
        raise argparse.ArgumentTypeError(f"{turns} turns are too few to compare: it takes 100")
    return turns
