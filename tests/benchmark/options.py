"""The command line of the benchmark. Standard library only: nothing may be set up yet."""

from __future__ import annotations

import argparse

from tests.sessions.options import whole_number


def parse(arguments: list[str]) -> argparse.Namespace:
    """What the arguments ask for; exits with 0 for --help and with 2 for a mistake."""
    parser = argparse.ArgumentParser(
        prog="benchmark",
        description="Measure on this machine, with the scripted model, what an interruption costs. "
        "Sessions side by side interrupt their task again and again, each as soon as the task's "
        "first token has been streamed; runs of this agent and of the plain pattern take turns. A "
        "Markdown table goes to stdout, progress to stderr. Exits with 1 if a message failed or if "
        "the agent missed an interruption.",
    )
    add, number = parser.add_argument, whole_number(1)
    levels = "sessions at once, one level after the other (default: 1,20,100)"
    add("--sessions", type=_counts, default=[1, 20, 100], metavar="N,…", help=levels)
    add("--runs", type=number, default=5, metavar="N", help="at each level (default: 5)")
    rounds = "interruptions per session and run (default: 160 of all sessions, but 2 to 60)"
    add("--rounds", type=number, metavar="N", help=rounds)
    return parser.parse_args(arguments)


def _counts(text: str) -> list[int]:
    return [whole_number(1)(part) for part in text.split(",")]
