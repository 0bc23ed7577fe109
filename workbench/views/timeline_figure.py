"""Trees of invocations below each other on one axis of time, as a matplotlib figure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.short import clipped, without_middle
from workbench.views.drawn_tree import DrawnLane, DrawnTree, kinds_in, last_moment
from workbench.views.figure_style import (
    FONT_SIZE,
    INK,
    PALE,
    WIDTH_INCHES,
    draw_bar,
    draw_legend,
    draw_mark,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches.
_ROW = 0.27
_LABELS = 2.75
_OUTCOMES = 1.3
_INDENT = 0.17
_LEAST_BAR = 0.03
_BETWEEN_MARKS = 0.13
_BESIDE = 0.06
_LETTER = 0.067
_TOP, _AXIS, _LEGEND_LINE, _CAPTION_LINE = 0.08, 0.5, 0.2, 0.17

_BETWEEN_TREES = 0.5  # rows
_LEGEND_COLUMNS = 4
_BAND = "#eef2f6"
_ENDS = {"completed", "failed", "kill"}
_CAPTION_LETTERS = 138


def timeline_figure(trees: Sequence[DrawnTree], caption: str) -> Figure:
    """Draw the trees: a title each, a row for each invocation, and what the marks mean."""
    from matplotlib.figure import Figure

    kinds = kinds_in(trees)
    rows = sum(1 + len(tree.rows) for tree in trees) + _BETWEEN_TREES * (len(trees) - 1)
    said = textwrap.wrap(caption, _CAPTION_LETTERS)
    legend = _LEGEND_LINE * -(-len(kinds) // _LEGEND_COLUMNS) + 0.1
    below = _AXIS + legend + _CAPTION_LINE * len(said) + 0.1
    height = _TOP + rows * _ROW + below

    figure = Figure(figsize=(WIDTH_INCHES, height))
    width = WIDTH_INCHES - _LABELS - _OUTCOMES
    bottom, share = below / height, rows * _ROW / height
    labels = figure.add_axes((0, bottom, _LABELS / WIDTH_INCHES, share))
    bars = figure.add_axes((_LABELS / WIDTH_INCHES, bottom, width / WIDTH_INCHES, share))
    for axes in (labels, bars):
        axes.set_ylim(rows, 0)
    labels.set_xlim(0, _LABELS)
    labels.axis("off")
    labels.set_zorder(bars.get_zorder() + 1)  # the titles go on above the bars
    end = last_moment(trees)
    _draw_time_axis(bars, end, trees[0])

    top = 0.0
    for tree in trees:
        _draw_title(labels, tree, top)
        _draw_cancel_line(bars, tree, top)
        for number, row in enumerate(tree.rows):
            y = top + 1.5 + number
            _draw_label(labels, row, y)
            _draw_life(bars, row, y, per_inch=end / width)
        top += 1 + len(tree.rows) + _BETWEEN_TREES
    draw_legend(
        figure,
        kinds,
        loc="upper left",
        bbox_to_anchor=(0.0, (below - _AXIS) / height),
        ncols=_LEGEND_COLUMNS,
        borderpad=0,
        columnspacing=1.4,
        handlelength=1.8,
    )
    figure.text(
        0.08 / WIDTH_INCHES,
        (below - _AXIS - legend) / height,
        "\n".join(said),
        fontsize=FONT_SIZE,
        color=INK,
        va="top",
        linespacing=1.35,
    )
    return figure


def _draw_time_axis(axes: Axes, end: int, first: DrawnTree) -> None:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axes.set_xlim(0, end)
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.tick_params(axis="x", labelsize=FONT_SIZE - 0.5, colors=PALE, length=3)
    axes.set_xlabel(
        f"milliseconds since {first.root.handler} was created",
        fontsize=FONT_SIZE - 0.5,
        color=PALE,
    )
    axes.set_yticks([])
    axes.grid(axis="x", color="#e4e7eb", linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(PALE)


def _draw_title(labels: Axes, tree: DrawnTree, top: float) -> None:
    """A band over the whole width, which also keeps the grid of one tree from the next."""
    from matplotlib.patches import Rectangle

    across = WIDTH_INCHES - 0.05
    gap = min(top, _BETWEEN_TREES)
    for y, height, color in ((top - gap, gap, "white"), (top, 0.9, _BAND)):
        labels.add_patch(Rectangle((0, y), across, height, color=color, linewidth=0, clip_on=False))
    text: dict[str, Any] = {"y": top + 0.45, "va": "center_baseline", "color": INK}
    labels.text(x=0.08, s=tree.title, fontsize=FONT_SIZE + 0.5, fontweight="bold", **text)
    labels.text(x=across - 0.08, s=tree.note, fontsize=FONT_SIZE - 0.5, ha="right", **text)


def _draw_cancel_line(axes: Axes, tree: DrawnTree, top: float) -> None:
    """From the first cancel of the root down the tree: who is told how much later is seen by it."""
    for at in tree.root.times("cancel")[:1]:
        axes.plot(
            [at, at],
            [top + 1.5, top + 1 + len(tree.rows)],
            color="#d21f3c",
            linewidth=0.9,
            linestyle=(0, (1, 2)),
            zorder=1,
        )


def _draw_label(axes: Axes, row: DrawnLane, y: float) -> None:
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
    room = int((_LABELS - x - 0.1) / _LETTER)
    axes.text(
        x + 0.02,
        y,
        without_middle(row.label, room),
        fontsize=FONT_SIZE,
        color=INK if row.waited_for else PALE,
        style="normal" if row.waited_for else "italic",
        va="center_baseline",
    )


def _draw_life(axes: Axes, row: DrawnLane, y: float, *, per_inch: float) -> None:
    life = row.lane.life
    if life is None:
        axes.text(0, y, "no record", fontsize=FONT_SIZE, color=PALE, va="center_baseline")
        return
    for span in (*life.states, *life.steps):
        draw_bar(axes, span.kind, y, span.begin, max(span.end, span.begin + _LEAST_BAR * per_inch))
    for span in life.steps:
        if (span.end - span.begin) / per_inch > len(span.name) * _LETTER and (
            span.name not in row.label
        ):
            _write_into(axes, span.name, (span.begin + span.end) / 2, y)
    at = -float("inf")
    for mark in life.marks:
        # The end is marked behind the bar, which is often shorter than the mark.
        beside = _BESIDE * per_inch if mark.kind in _ENDS else 0
        at = max(mark.at + beside, at + _BETWEEN_MARKS * per_inch)
        draw_mark(axes, mark.kind, y, at)
    over = row.lane.ended is not None
    right = axes.get_xlim()[1]
    at = (at if over else min(life.states[-1].end, right)) + 0.09 * per_inch
    room = int((_OUTCOMES + (right - at) / per_inch) / _LETTER)
    axes.text(
        at,
        y,
        f"{clipped(row.lane.outcome, room - 8)} · {row.lane.ended:,}" if over else row.lane.outcome,
        fontsize=FONT_SIZE - 0.5,
        color=INK,
        style="normal" if over else "italic",
        va="center_baseline",
        zorder=5,
    )


def _write_into(axes: Axes, name: str, x: float, y: float) -> None:
    axes.text(
        x, y, name, fontsize=FONT_SIZE - 1, color="white", ha="center", va="center_baseline"
    ).set_zorder(3)
