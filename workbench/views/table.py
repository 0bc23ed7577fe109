"""How every view prints: one title line, one plain table, no more rows than can be read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tabulate import tabulate

from workbench.ids import WIDTH, clipped, short_ids, without_middle

MAX_ROWS = 80
_LEAST = 16
# tabulate's own: between two columns, and what it adds to a header.
_GAP = 2
_HEADER_PADDING = 2


def print_table(
    title: str,
    rows: Sequence[Mapping[str, object]],
    *,
    widths: Mapping[str, int] | None = None,
    targets: Collection[str] = (),
    right: Collection[str] = (),
) -> None:
    """Print `rows`, which all have the same keys, with their ids shortened.

    Values are clipped to their column's width in `widths`, those of the last column to what is then
    left of WIDTH; values of the columns `targets`, which name a handler, lose their middle. The
    columns `right` are aligned to the right. Of more than MAX_ROWS rows, the last are shown.
    """
    print(short_ids(title))
    if not rows:
        print("(none)\n")
        return
    if len(rows) > MAX_ROWS:
        print(f"(the first {len(rows) - MAX_ROWS} of {len(rows)} rows are left out)")
    columns = list(rows[0])
    cells = [[_cell(row[column]) for column in columns] for row in rows[-MAX_ROWS:]]
    left = WIDTH
    for position, column in enumerate(columns):
        last = position == len(columns) - 1
        width = max(left, _LEAST) if last else (widths or {}).get(column, WIDTH)
        for line in cells:
            if column in targets:
                line[position] = without_middle(line[position], width)
            else:
                line[position] = clipped(line[position], width)
        used = max(len(column) + _HEADER_PADDING, *(len(line[position]) for line in cells))
        left -= used + _GAP
    print(
        tabulate(
            cells,
            headers=columns,
            disable_numparse=True,  # "007" and "1e3" are names here
            preserve_whitespace=True,  # the branches of a tree are indented
            colalign=["right" if column in right else "left" for column in columns],
        )
        + "\n"
    )


def _cell(value: object) -> str:
    return "" if value is None else short_ids(str(value))
