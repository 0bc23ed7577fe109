"""One row of a timeline's figure: the label on the left, the bars and marks, the outcome."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from workbench.ids import without_middle
from workbench.views.figure_style import FONT_SIZE, INK, PALE, draw_bar, draw_mark
from workbench.views.timeline.drawn_tree import DrawnLane
from workbench.views.timeline.lifeline import Span

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Inches: the room for labels and for outcomes, and what keeps things apart.
LABELS = 2.75
OUTCOMES = 1.45
_INDENT = 0.17
_LEAST_BAR = 0.03
_BETWEEN_MARKS = 0.13
_BESIDE = 0.06
_EDGE = 0.3  # rows: from the middle of a bar to its edge
_LETTER = 0.067

_ENDS = {"completed", "failed", "kill"}


def draw_label(axes: Axes, row: DrawnLane, y: float) -> None:
    """Write what a row is about into the axes on the left, and how it was called."""
    x = 0.08 + row.depth * _INDENT
    if row.above:
        left = x - _INDENT + 0.05
        axes.plot(
            [left, left, x - 0.02],
            [y - row.above + 0.35, y, y],
            color=PALE,
            linewidth=1.0,
            linestyle="-" if row.waited_for else ":",
        )
    room = int((LABELS - x - 0.1) / _LETTER)
    axes.text(
        x + 0.02,
        y,
        without_middle(row.label, room),
        fontsize=FONT_SIZE,
        color=INK if row.waited_for else PALE,
        style="normal" if row.waited_for else "italic",
        va="center_baseline",
    )


def draw_life(axes: Axes, row: DrawnLane, y: float, *, per_inch: float) -> None:
    """Draw a row's bars and marks, and write its outcome behind them; `per_inch` milliseconds are
    an inch wide.
    """
    life = row.lane.life
    if life is None:
        axes.text(0, y, "no record", fontsize=FONT_SIZE, color=PALE, va="center_baseline")
        return
    for span in (*life.states, *life.steps):
        draw_bar(axes, span.kind, y, span.begin, max(span.end, span.begin + _LEAST_BAR * per_inch))
    left, right = axes.get_xlim()
    at = -float("inf")
    drawn = []
    for mark in life.marks:
        if left <= mark.at <= right and mark.kind == "compensation":
            # Often between a cancel and an end that are close: at the bar's edge, where it belongs.
            draw_mark(axes, mark.kind, y + _EDGE, mark.at)
        elif left <= mark.at <= right:
            # The end is marked behind the bar, which is often shorter than the mark.
            beside = _BESIDE * per_inch if mark.kind in _ENDS else 0
            at = max(mark.at + beside, at + _BETWEEN_MARKS * per_inch)
            draw_mark(axes, mark.kind, y, at)
            drawn.append(at)
    for span in life.steps:
        if span.name not in row.label:
            _write_name(axes, span, drawn, y, per_inch=per_inch)
    over = row.lane.ended is not None
    open_end = -float("inf") if over else min(life.states[-1].end, right)
    at = max(left, at, open_end) + 0.09 * per_inch
    when = f" · {row.lane.ended:,}" if over else ""
    earlier = "← " if over and life.states[-1].end < left else ""
    room = int((OUTCOMES + (right - at) / per_inch) / _LETTER) - len(when)
    axes.text(
        at,
        y,
        f"{earlier}{_shortened(row.lane.outcome, room)}{when}",
        fontsize=FONT_SIZE - 0.5,
        color=INK,
        style="normal" if over else "italic",
        va="center_baseline",
        zorder=5,
    )


def _write_name(
    axes: Axes, span: Span, marks: Sequence[float], y: float, *, per_inch: float
) -> None:
    """Write the name of a step into its bar, beside the marks that cover it, if there is room."""
    beside = _BETWEEN_MARKS / 2 * per_inch
    within = [at for at in marks if span.begin <= at < span.end]
    edges = [span.begin - beside, *within, span.end + beside]
    room, begin = max((b - a - 2 * beside, a + beside) for a, b in pairwise(edges))
    if room / per_inch > len(span.name) * _LETTER:
        axes.text(
            begin + room / 2,
            y,
            span.name,
            fontsize=FONT_SIZE - 0.5,
            color="white",
            ha="center",
            va="center_baseline",
            clip_on=True,
            zorder=3,
        )


def _shortened(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1]}…"
