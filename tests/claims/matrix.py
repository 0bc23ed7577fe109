"""The results of one column or several: as tables for a terminal, and as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from string import ascii_lowercase

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.claims.claims import Claim
from tests.claims.columns import Column, Result

_STYLES = {"holds": "green", "differs": "yellow", "not there": "yellow", "error": "red"}


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


Found = Mapping[Column, Mapping[str, Result]]


def rows(claims: Sequence[Claim], found: Found) -> list[Row]:
    """The matrix, in the order of the claims and of the columns."""
    return [Row(claim, tuple(results[claim.id] for results in found.values())) for claim in claims]


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
    return f"{counts.total()} claim{'s' * (counts.total() != 1)}: {said}"


def same_everywhere(all_rows: Sequence[Row]) -> str:
    """How many rows are the same in all columns, in one line."""
    same = [row for row in all_rows if row.same]
    decided = {
        row.claim.id: next((r for r in row.results if r.decided), Result("not tested", ""))
        for row in same
    }
    said = summary([row.claim for row in same], decided)
    return f"Of {len(all_rows)} claims, these come out the same in every column: {said}."


def not_decided(columns: Sequence[Column], all_rows: Sequence[Row]) -> list[str]:
    """What could not be tested where, and why: a line for each reason."""
    where: dict[str, dict[Column, list[str]]] = {}
    for row in all_rows:
        for column, result in zip(columns, row.results, strict=True):
            if not result.decided:
                where.setdefault(str(result), {}).setdefault(column, []).append(row.claim.id)
    lines = []
    for reason, found in where.items():
        ids = list(dict.fromkeys(id for mine in found.values() for id in mine))
        lines.append(f"{', '.join(ids)}, with {'; '.join(map(str, found))}: {reason}")
    return lines


def show_list(console: Console, claims: Sequence[Claim]) -> None:
    """What is claimed, what is recorded of it, and where a lesson shows it."""
    table = _table("claim", "says", "recorded", "lesson")
    for claim in claims:
        lesson = claim.lesson or f"none: {claim.no_lesson}"
        table.add_row(claim.id, escape(claim.says), _styled(claim.verdict), escape(lesson))
    console.print(table)


def show_results(console: Console, claims: Sequence[Claim], results: Mapping[str, Result]) -> None:
    """A row for each claim; ✗ marks a claim that is not as recorded."""
    table = _table("", "claim", "verdict", "evidence")
    for claim in claims:
        result = results[claim.id]
        words = "" if result.outcome == "holds" else f": {_one_line(result.observed)}"
        mark = "[red]✗" if is_unexpected(claim, result) else ""
        evidence = result.evidence.rpartition("/")[2]
        table.add_row(mark, claim.id, _styled(result.outcome) + escape(words), evidence)
    console.print(table)
    console.print(summary(claims, results))


def show_matrix(console: Console, columns: Sequence[Column], all_rows: Sequence[Row]) -> None:
    """The rows that are not the same in every column, and what was observed there."""
    if different := [row for row in all_rows if not row.same]:
        table = _table("claim", *(str(column).replace(", ", "\n") for column in columns))
        for row in different:
            table.add_row(row.claim.id, *map(escape, row.cells()))
        console.print(table)
        console.print("\n".join(_notes(different)), markup=False)
    console.print(same_everywhere(all_rows))
    for line in not_decided(columns, all_rows):
        console.print(line, markup=False)


def as_markdown(columns: Sequence[Column], all_rows: Sequence[Row], command: str) -> str:
    """A page with the whole matrix, and the date and the command that made it."""
    different = [row for row in all_rows if not row.same]
    headings = [column.heading for column in columns]
    parts = [
        "# Which statement is true in which version",
        f"Made on {date.today().isoformat()} by `{command}`; do not edit it.",
        "A column names what is not the pinned version. A letter stands for what exactly was "
        "observed.",
        same_everywhere(all_rows),
        _markdown_table(["claim", *headings], [[f"`{r.claim.id}`", *r.cells()] for r in different]),
        "\n".join(_notes(different, "- ")),
        *(f"Not tested: {line}." for line in not_decided(columns, all_rows)),
        "## Every claim",
        "In the order of the texts, with what was observed with the pinned versions.",
    ]
    pinned = next(number for number, column in enumerate(columns) if column.pinned)
    for text in dict.fromkeys(row.claim.text for row in all_rows):
        body = [
            [
                f"{row.claim.says} `{row.claim.id}`",
                *row.cells(),
                _one_line(row.results[pinned].observed) + _not_counted(row.claim),
                _lesson(row.claim),
            ]
            for row in all_rows
            if row.claim.text == text
        ]
        table = _markdown_table(["claim", *headings, "what was observed", "lesson"], body)
        parts += [f"### {text}", table]
    return "\n\n".join(parts) + "\n"


def _notes(different: Sequence[Row], bullet: str = "") -> list[str]:
    """What the letters of the rows stand for."""
    lines = []
    for row in different:
        lines.append(f"{bullet}`{row.claim.id}`: {row.claim.says}")
        lines += [
            f"  {bullet}{f'*{letter}*' if bullet else letter} {_one_line(words)}"
            for words, letter in row.letters.items()
        ]
    return lines


def _not_counted(claim: Claim) -> str:
    return f" (not counted: {claim.not_counted})" if claim.not_counted else ""


def _lesson(claim: Claim) -> str:
    if not claim.lesson:
        return f"none: {claim.no_lesson}"
    notebook, _, heading = claim.lesson.partition(": ")
    return f"[{notebook[:2]}](../../notebooks/{notebook}.ipynb) {heading.lstrip('# ')}"


def _markdown_table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]


def _styled(outcome: str) -> str:
    style = _STYLES.get(outcome, "dim")
    return f"[{style}]{escape(outcome)}[/{style}]"


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name == "claim")
    return table
