"""The matrix as Markdown: what README.md shows of it, and the whole of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from tests.claims.claim import Claim
from tests.claims.column import Column
from tests.claims.matrix import Row, folded, not_seen

BEGIN, END = "<!-- the matrix, as README.md has it -->", "<!-- end -->"


def as_markdown(columns: Sequence[Column], rows: Sequence[Row], command: str, day: date) -> str:
    """A page with the date and the command that made it; the part for README.md is marked."""
    parts = [
        "# What holds in which version",
        "Made by a run; do not edit it.",
        BEGIN,
        short_matrix(columns, rows, command, day),
        END,
        "## Where it depends on the version",
        notes(columns, rows),
        "## Every claim",
        "In the order of the texts. What is seen is that with the versions that are pinned here.",
        *(_section(text, columns, rows) for text in dict.fromkeys(r.claim.text for r in rows)),
    ]
    return "\n\n".join(parts) + "\n"


def short_matrix(columns: Sequence[Column], rows: Sequence[Row], command: str, day: date) -> str:
    """The rows that are not the same everywhere, and how many the others are."""
    parts = [f"Seen on {day.isoformat()} with `{command}`. {folded(rows)}."]
    different = [row for row in rows if not row.same]
    if different:
        head = ["claim", *(_head(column) for column in columns)]
        parts.append(_table(head, [[f"`{r.claim.id}`", *r.cells()] for r in different]))
    return "\n\n".join(parts)


def notes(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """What the letters in the matrix stand for, and what could not be looked at."""
    lines = [line for row in rows if not row.same for line in _notes_of(row)]
    parts = ["\n".join(lines)] if lines else ["Nothing does."]
    parts += [f"Not looked at: {line}." for line in not_seen(columns, rows)]
    return "\n\n".join(parts)


def _notes_of(row: Row) -> list[str]:
    lines = [f"- `{row.claim.id}`: {row.claim.says}"]
    for seen, letter in row.notes.items():
        lines.append(f"  - *{letter}* {' '.join(seen.split())[:300]}")
    return lines


def _section(text: str, columns: Sequence[Column], rows: Sequence[Row]) -> str:
    mine = [row for row in rows if row.claim.text == text]
    head = ["claim", *(_head(column) for column in columns), "what is seen", "lesson"]
    pinned = next(number for number, column in enumerate(columns) if column.pinned)
    body = [
        [
            f"{row.claim.says} `{row.claim.id}`",
            *row.cells(),
            " ".join(row.results[pinned].seen.split()),
            _lesson(row.claim),
        ]
        for row in mine
    ]
    return f"### {text}\n\n{_table(head, body)}"


def _lesson(claim: Claim) -> str:
    if not claim.lesson:
        return f"none: {claim.no_lesson}"
    notebook, _, heading = claim.lesson.partition(": ")
    return f"[{notebook[:2]}](../../notebooks/{notebook}.ipynb) {heading.lstrip('# ')}"


def _head(column: Column) -> str:
    if column.pinned:
        return f"**Restate {column.server}, SDK {column.sdk}**"
    return f"Restate {column.server}" if column.sdk == Column().sdk else f"SDK {column.sdk}"


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )
