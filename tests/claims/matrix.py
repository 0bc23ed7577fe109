"""The claims for several versions: which rows are the same everywhere, how the others differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase

from rich import box
from rich.console import Console
from rich.table import Table

from tests.claims.claim import Claim
from tests.claims.column import Column
from tests.claims.look import Result

_NOT_SEEN = ("not there", "not probed")


@dataclass(frozen=True)
class Row:
    """One claim; the results are in the order of the columns."""

    claim: Claim
    results: tuple[Result, ...]

    @property
    def same(self) -> bool:
        """Whether the same is seen wherever there is something to see."""
        return len(self.notes) <= 1

    @property
    def notes(self) -> dict[str, str]:
        """A letter for each thing that is seen somewhere."""
        seen = dict.fromkeys(str(r) for r in self.results if r.outcome not in _NOT_SEEN)
        return dict(zip(seen, ascii_lowercase, strict=False))

    def cells(self) -> list[str]:
        """The outcomes; where not all see the same, with the letter of what is seen."""
        if self.same:
            return [result.outcome for result in self.results]
        letters = self.notes
        return [f"{r.outcome} {letters.get(str(r), '')}".rstrip() for r in self.results]


def rows(claims: Sequence[Claim], found: Mapping[Column, Mapping[str, Result]]) -> list[Row]:
    """The matrix, in the order of the claims and of the columns."""
    return [Row(claim, tuple(results[claim.id] for results in found.values())) for claim in claims]


def folded(all_rows: Sequence[Row]) -> str:
    """The rows that are the same everywhere, in one line."""
    same = [row for row in all_rows if row.same]
    seen = [[r.outcome for r in row.results if r.outcome not in _NOT_SEEN] for row in same]
    holds = sum(outcomes[:1] == ["holds"] for outcomes in seen)
    differs = sum(outcomes[:1] == ["differs"] for outcomes in seen)
    said = f"{len(same)} of {len(all_rows)} claims come out the same wherever they can be looked at"
    said += f": {holds} hold, {differs} differ from the text"
    others = len(same) - holds - differs
    return said + (f", {others} could be looked at nowhere" if others else "")


def not_seen(columns: Sequence[Column], all_rows: Sequence[Row]) -> list[str]:
    """What could not be looked at where, and why: a line for each reason."""
    where: dict[str, dict[Column, list[str]]] = {}
    for row in all_rows:
        for column, result in zip(columns, row.results, strict=True):
            if result.outcome in _NOT_SEEN:
                where.setdefault(str(result), {}).setdefault(column, []).append(row.claim.id)
    lines = []
    for reason, found in where.items():
        ids = list(dict.fromkeys(id for mine in found.values() for id in mine))
        what = ", ".join(ids) if len(ids) <= 2 else f"{len(ids)} claims"
        lines.append(f"{what}, with {'; '.join(map(str, found))}: {reason}")
    return lines


def show_matrix(console: Console, columns: Sequence[Column], all_rows: Sequence[Row]) -> None:
    """The rows that are not the same everywhere, what is seen in them, and how many are."""
    different = [row for row in all_rows if not row.same]
    if different:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("claim", no_wrap=True)
        for column in columns:
            table.add_column(str(column).replace(", ", "\n"))
        for row in different:
            table.add_row(row.claim.id, *row.cells())
        console.print(table)
        for row in different:
            console.print(f"{row.claim.id}: {row.claim.says}", markup=False)
            for seen, letter in row.notes.items():
                console.print(f"  {letter}  {' '.join(seen.split())[:300]}", markup=False)
    console.print(folded(all_rows))
    for line in not_seen(columns, all_rows):
        console.print(line, markup=False)
