"""Trees of invocations on one axis of time, as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.ids import clipped, without_middle
from workbench.views.figure_style import BARS, MARKS, legend_line
from workbench.views.table import WIDTH
from workbench.views.timeline.drawn_tree import DrawnLane, DrawnTree, kinds_in, last_moment

_LABEL = 34
_BAR = 34
_GAP = "  "
_NOTHING = "·"


def timeline_text(trees: Sequence[DrawnTree], between: tuple[int, int] | None = None) -> str:
    """A line for each invocation: its label, a bar, its outcome, and when its marks were.

    The bars show what is `between` two moments, where given.
    """
    begin, end = between or (0, last_moment(trees))
    labels = [without_middle(f"{row.branch}{row.label}", _LABEL) for row in _rows(trees)]
    width = max(map(len, labels))
    lines = [f"From {begin:,} to {end:,} ms since {trees[0].root.handler} was created"]
    for tree in trees:
        note = f" ({tree.note})" if tree.note else ""
        lines += ["", clipped(f"{tree.title}{note}", WIDTH)]
        for row in tree.rows:
            label = without_middle(f"{row.branch}{row.label}", _LABEL)
            left = f"{label:<{width}}{_GAP}{_bar(row, begin, end)}{_GAP}"
            # Not clipped: where would depend on how many digits the times have.
            lines.append(f"{left}{_outcome(row)}".rstrip())
    return "\n".join([*lines, "", *_wrapped(legend_line(kinds_in(trees)))])


def _rows(trees: Sequence[DrawnTree]) -> list[DrawnLane]:
    return [row for tree in trees for row in tree.rows]


def _bar(row: DrawnLane, begin: int, end: int) -> str:
    """What takes too little time for a character has one all the same."""
    cells = [_NOTHING] * _BAR
    life = row.lane.life
    if life is None:
        return "".join(cells)

    def column(at: int) -> int:
        return max(0, min((at - begin) * _BAR // (end - begin), _BAR - 1))

    for span in (*life.states, *life.steps):
        if span.end < begin or span.begin > end:
            continue
        for cell in range(column(span.begin), max(column(span.begin), column(span.end - 1)) + 1):
            cells[cell] = BARS[span.kind].character
    for mark in life.marks:
        if mark.kind not in {"completed", "failed"} and begin <= mark.at <= end:
            cells[column(mark.at)] = MARKS[mark.kind].character
    return "".join(cells)


def _outcome(row: DrawnLane) -> str:
    """Such as `○ cancelled 1072 ✕955 ◆1045`."""
    life = row.lane.life
    marks = life.marks if life else ()
    end = row.lane.ended is not None
    first = f"{MARKS[marks[-1].kind].character} " if end else ""
    when = f" {row.lane.ended}" if end else ""
    others = [f"{MARKS[mark.kind].character}{mark.at}" for mark in (marks[:-1] if end else marks)]
    return " ".join([f"{first}{row.lane.outcome}{when}", *others])


def _wrapped(legend: str) -> list[str]:
    lines = [""]
    for part in legend.split(" · "):
        longer = f"{lines[-1]} · {part}" if lines[-1] else part
        if len(longer) > WIDTH:
            lines.append(part)
        else:
            lines[-1] = longer
    return lines
