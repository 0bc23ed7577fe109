"""The claims as a table for a terminal, and what is to be said below it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.claims.claim import Claim
from tests.claims.look import Result
from tests.claims.probe import not_as_recorded

_STYLES = {"holds": "green", "differs": "yellow", "not there": "yellow", "error": "red"}


def show_list(console: Console, claims: list[Claim]) -> None:
    """What is claimed where, and what is recorded of it."""
    table = _table("claim", "says", "recorded", "lesson")
    for text in dict.fromkeys(claim.text for claim in claims):
        table.add_section()
        for claim in (claim for claim in claims if claim.text == text):
            table.add_row(
                claim.id,
                escape(claim.says),
                _styled(claim.verdict, claim.verdict),
                escape(claim.lesson or f"none: {claim.no_lesson}"),
            )
    console.print(table)


def show_results(console: Console, claims: list[Claim], results: Mapping[str, Result]) -> None:
    """A row a claim; a claim that is not as recorded has a ✗."""
    table = _table("", "claim", "verdict", "evidence")
    for claim in claims:
        result = results[claim.id]
        words = result.outcome if result.outcome == "holds" else _first_line(str(result))
        mark = "[red]✗" if is_unexpected(claim, result) else ""
        table.add_row(mark, claim.id, _styled(result.outcome, words), claim.evidence)
    console.print(table)
    console.print(summary(results))


def summary(results: Mapping[str, Result]) -> str:
    """How many came out how, in one line."""
    counts = Counter(result.outcome for result in results.values())
    words = {"holds": "hold", "differs": "differ", "error": "could not be decided"}
    said = ", ".join(f"{count} {words.get(name, name)}" for name, count in counts.most_common())
    return f"{len(results)} claim{'s' * (len(results) != 1)}: {said}"


def is_unexpected(claim: Claim, result: Result) -> bool:
    """Whether this is other than recorded; that it could not be looked at here is no news."""
    return result.outcome != "not probed" and result.verdict != (claim.verdict, claim.seen)


def complaint(claim: Claim, result: Result) -> str:
    """What is to be said of a result that is unexpected: claim, place, expected, seen."""
    if result.outcome == "error":
        return (
            f"Claim {claim.id} could not be decided.\n"
            f"  place:    {claim.place}\n"
            f"  evidence: tests/claims/{claim.evidence}\n"
            f"  said:     {_first_line(result.seen)}\n"
            "  Run it again; the whole report is in claims.log (see above)."
        )
    return not_as_recorded(claim, result)


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else ""


def _styled(outcome: str, words: str) -> str:
    style = _STYLES.get(outcome, "dim")
    return f"[{style}]{escape(words)}[/{style}]"


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name == "claim")
    return table
