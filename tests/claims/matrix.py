"""The results of the claims, of several columns, as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from string import ascii_lowercase

from tests.claims.claims import Claim
from tests.claims.columns import Column, Result

Found = dict[Column, dict[str, Result]]


def is_unexpected(claim: Claim, result: Result) -> bool:
    """Whether this is not as recorded; that something cannot be tested here is not news."""
    return result.outcome != "not tested" and not claim.as_recorded(*result[:2])


def summary(claims: Iterable[Claim], results: Mapping[str, Result]) -> str:
    """How many claims came out how, in one line."""
    counts = Counter(
        "not counted" if claim.not_counted else results[claim.id].outcome for claim in claims
    )
    words = {"holds": "hold", "differs": "differ", "error": "could not be decided"}
    said = ", ".join(f"{count} {words.get(name, name)}" for name, count in counts.most_common())
    total = sum(counts.values())
    return f"{total} claim{'s' * (total != 1)}: {said}"


def letters(claim: Claim, found: Found) -> dict[str, str]:
    """A letter for each thing that was observed of a claim; none if all that decide it agree."""
    results = [results[claim.id] for results in found.values()]
    different = list(dict.fromkeys(str(result) for result in results if result.decided))
    return dict(zip(different, ascii_lowercase, strict=False)) if len(different) > 1 else {}


def overview(claims: Sequence[Claim], found: Found) -> str:
    """The claims that differ between the columns, how many do not, and what was not tested."""
    different = {claim: letters(claim, found) for claim in claims}
    same = [claim for claim in claims if not different[claim]]
    decided = {
        id: result
        for results in [found[Column()], *found.values()]
        for id, result in results.items()
        if result.decided
    }
    parts = [f"The same in every column: {summary(same, {**found[Column()], **decided})}."]
    if len(same) < len(claims):
        body = [[f"`{c.id}`", *_cells(c, found)] for c in claims if different[c]]
        parts.append(_table(["claim", *_headings(found)], body))
        notes = []
        for claim in claims:
            if different[claim]:
                notes.append(f"- `{claim.id}`: {claim.says}")
            notes += [f"  - *{letter}* {one_line(w)}" for w, letter in different[claim].items()]
        parts.append("\n".join(notes))
    untested: dict[str, list[str]] = {}
    for claim in claims:
        for column, results in found.items():
            if not (result := results[claim.id]).decided:
                untested.setdefault(f"{column}: {one_line(str(result))}", []).append(claim.id)
    parts += [f"With {reason} ({', '.join(ids)})." for reason, ids in untested.items()]
    return "\n\n".join(parts)


def as_markdown(claims: Sequence[Claim], found: Found, command: str) -> str:
    """A page with the whole matrix, and the date and the command that made it."""
    parts = [
        "# Which statement is true in which version",
        f"Made on {date.today().isoformat()} by `{command}`; do not edit it.",
        "A column names what is not the pinned version. A letter stands for what exactly was "
        "observed.",
        overview(claims, found),
        "## Every claim",
        "In the order of the texts, with what was observed with the pinned versions.",
    ]
    for text in dict.fromkeys(claim.text for claim in claims):
        body = [
            [
                f"{claim.says} `{claim.id}`",
                *_cells(claim, found),
                one_line(found[Column()][claim.id].observed)
                + f" (not counted: {claim.not_counted})" * bool(claim.not_counted),
                _lesson(claim),
            ]
            for claim in claims
            if claim.text == text
        ]
        head = ["claim", *_headings(found), "what was observed", "lesson"]
        parts += [f"### {text}", _table(head, body)]
    return "\n\n".join(parts) + "\n"


def _headings(found: Found) -> list[str]:
    return [column.heading for column in found]


def _cells(claim: Claim, found: Found) -> list[str]:
    """The outcomes; where they differ, with the letter of what was observed."""
    of = letters(claim, found)
    results = [results[claim.id] for results in found.values()]
    return [f"{result.outcome} {of.get(str(result), '')}".rstrip() for result in results]


def _lesson(claim: Claim) -> str:
    if not claim.lesson:
        return f"none: {claim.no_lesson}"
    notebook, _, heading = claim.lesson.partition(": ")
    return f"[{notebook[:2]}](../../notebooks/{notebook}.ipynb) {heading.lstrip('# ')}"


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def one_line(text: str) -> str:
    return " ".join(text.split())[:300]
