"""The results of the claims: a line for each, and the matrix of several columns as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from string import ascii_lowercase

from tests.claims.claims import Claim
from tests.claims.columns import Column, Result

Found = Mapping[Column, Mapping[str, Result]]


@dataclass(frozen=True)
class Row:
    """One claim; the results are in the order of the columns."""

    claim: Claim
    results: tuple[Result, ...]

    @property
    def same(self) -> bool:
        """Whether every column that decides the claim has observed the same."""
        return len(self.letters) <= 1

    @property
    def letters(self) -> dict[str, str]:
        """A letter for each thing that was observed somewhere."""
        different = dict.fromkeys(str(result) for result in self.results if result.decided)
        return dict(zip(different, ascii_lowercase, strict=False))

    def cells(self) -> list[str]:
        """The outcomes; where they differ, with the letter of what was observed."""
        letters = {} if self.same else self.letters
        return [f"{r.outcome} {letters.get(str(r), '')}".rstrip() for r in self.results]

    def notes(self) -> Iterator[str]:
        """What its letters stand for."""
        yield f"- `{self.claim.id}`: {self.claim.says}"
        for words, letter in self.letters.items():
            yield f"  - *{letter}* {one_line(words)}"


def rows(claims: Sequence[Claim], found: Found) -> list[Row]:
    """The matrix, in the order of the claims and of the columns."""
    return [Row(claim, tuple(results[claim.id] for results in found.values())) for claim in claims]


def is_unexpected(claim: Claim, result: Result) -> bool:
    """Whether this is not as recorded; that something cannot be tested here is not news."""
    return result.outcome != "not tested" and not claim.as_recorded(*result[:2])


def result_line(claim: Claim, result: Result) -> str:
    """One line for a terminal; ✗ marks a claim that is not as recorded."""
    words = result.outcome if result.outcome == "holds" else one_line(str(result))
    return f"{'✗' if is_unexpected(claim, result) else ' '} {claim.id:42} {words}"


def summary(claims: Iterable[Claim], results: Mapping[str, Result]) -> str:
    """How many claims came out how, in one line."""
    counts = Counter(
        "not counted" if claim.not_counted else results[claim.id].outcome for claim in claims
    )
    words = {"holds": "hold", "differs": "differ", "error": "could not be decided"}
    said = ", ".join(f"{count} {words.get(name, name)}" for name, count in counts.most_common())
    total = sum(counts.values())
    return f"{total} claim{'s' * (total != 1)}: {said}"


def overview(columns: Sequence[Column], all_rows: Sequence[Row]) -> str:
    """The rows that differ between the columns, how many do not, and what was not tested."""
    different = [row for row in all_rows if not row.same]
    first: dict[str, Result] = {}
    for row in all_rows:
        first[row.claim.id] = next((r for r in row.results if r.decided), row.results[0])
    same = summary([row.claim for row in all_rows if row.same], first)
    parts = [f"The same in every column: {same}."]
    if different:
        head = ["claim", *(column.heading for column in columns)]
        parts.append(_table(head, [[f"`{row.claim.id}`", *row.cells()] for row in different]))
        parts.append("\n".join(note for row in different for note in row.notes()))
    untested: dict[str, list[str]] = {}
    for row in all_rows:
        for column, result in zip(columns, row.results, strict=True):
            if not result.decided:
                untested.setdefault(f"{column}: {one_line(str(result))}", []).append(row.claim.id)
    parts += [f"With {reason} ({', '.join(ids)})." for reason, ids in untested.items()]
    return "\n\n".join(parts)


def as_markdown(columns: Sequence[Column], all_rows: Sequence[Row], command: str) -> str:
    """A page with the whole matrix, and the date and the command that made it."""
    parts = [
        "# Which statement is true in which version",
        f"Made on {date.today().isoformat()} by `{command}`; do not edit it.",
        "A column names what is not the pinned version. A letter stands for what exactly was "
        "observed.",
        overview(columns, all_rows),
        "## Every claim",
        "In the order of the texts, with what was observed with the pinned versions.",
    ]
    pinned = next(number for number, column in enumerate(columns) if column.pinned)
    head = ["claim", *(column.heading for column in columns), "what was observed", "lesson"]
    for text in dict.fromkeys(row.claim.text for row in all_rows):
        body = [
            [
                f"{row.claim.says} `{row.claim.id}`",
                *row.cells(),
                one_line(row.results[pinned].observed) + _not_counted(row.claim),
                _lesson(row.claim),
            ]
            for row in all_rows
            if row.claim.text == text
        ]
        parts += [f"### {text}", _table(head, body)]
    return "\n\n".join(parts) + "\n"


def _not_counted(claim: Claim) -> str:
    return f" (not counted: {claim.not_counted})" if claim.not_counted else ""


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
