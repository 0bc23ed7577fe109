"""What a run says in the end: a table of what it did, and what was wrong."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from tests.stress.harness import Outcome


def counts(numbers: dict[str, int]) -> str:
    """`3 killed, 1 failed`, the largest number first."""
    ranked = sorted(numbers.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{number} {name}" for name, number in ranked) or "none"


def show_report(console: Console, outcome: Outcome, seconds: float) -> None:
    """Print the table and the violations."""
    table = Table(show_header=False)
    for name, value in (
        ("took", f"{seconds:.0f} s"),
        ("actions", counts(outcome.actions)),
        ("messages accepted", counts(outcome.accepted)),
        ("messages refused", counts(outcome.refused)),
        ("turns", counts(outcome.turns)),
        ("faults", counts(outcome.faults)),
        ("resumed by the operator", str(outcome.resumed)),
        ("killed by the agent", str(outcome.escalated)),
        ("model requests", str(outcome.model_requests)),
        ("completion tokens", f"{outcome.tokens_sent} sent, {outcome.tokens_counted} counted"),
        ("violations", str(sum(map(len, outcome.violations.values())))),
    ):
        table.add_row(name, value)
    console.print(table)
    for session, wrong in outcome.violations.items():
        for each in wrong:
            print(f"VIOLATION in {session}: {each}")
