"""Trees of invocations below each other on one axis of time, as a matplotlib figure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.views.figure_style import (
    FONT_SIZE,
    INK,
    PALE,
    WIDTH_INCHES,
    draw_legend,
)
from workbench.views.timeline.drawn_tree import DrawnTree, kinds_in, last_moment
from workbench.views.timeline.lane_figure import LABELS, OUTCOMES, draw_label, draw_life

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches.
_ROW = 0.27
_TOP, _AXIS, _LEGEND_LINE, _CAPTION_LINE = 0.08, 0.5, 0.2, 0.17

_BETWEEN_TREES = 0.5  # rows
_LEGEND_COLUMNS = 4
_BAND = "#eef2f6"
_CAPTION_LETTERS = 138


def timeline_figure(
    trees: Sequence[DrawnTree], caption: str, between: tuple[int, int] | None = None
) -> Figure:
    """Draw the trees: a title each, a row for each invocation, and what the marks mean.

    Only what is `between` two moments is drawn, where given.
    """
    from matplotlib.figure import Figure

    kinds = kinds_in(trees)
    rows = sum(1 + len(tree.rows) for tree in trees) + _BETWEEN_TREES * (len(trees) - 1)
    said = textwrap.wrap(caption, _CAPTION_LETTERS)
    legend = _LEGEND_LINE * -(-len(kinds) // _LEGEND_COLUMNS) + 0.1
    below = _AXIS + legend + _CAPTION_LINE * len(said) + 0.1
    height = _TOP + rows * _ROW + below

    figure = Figure(figsize=(WIDTH_INCHES, height))
    width = WIDTH_INCHES - LABELS - OUTCOMES
    bottom, share = below / height, rows * _ROW / height
    labels = figure.add_axes((0, bottom, LABELS / WIDTH_INCHES, share))
    bars = figure.add_axes((LABELS / WIDTH_INCHES, bottom, width / WIDTH_INCHES, share))
    for axes in (labels, bars):
        axes.set_ylim(rows, 0)
    labels.set_xlim(0, LABELS)
    labels.axis("off")
    labels.set_zorder(bars.get_zorder() + 1)  # the titles go on above the bars
    begin, end = between or (0, last_moment(trees))
    bars.set_xlim(begin, end)
    _draw_time_axis(bars, trees[0])

    top = 0.0
    for tree in trees:
        _draw_title(labels, tree, top)
        _draw_cancel_line(bars, tree, top)
        for number, row in enumerate(tree.rows):
            y = top + 1.5 + number
            draw_label(labels, row, y)
            draw_life(bars, row, y, per_inch=(end - begin) / width)
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


def _draw_time_axis(axes: Axes, first: DrawnTree) -> None:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

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
    left, right = axes.get_xlim()
    for at in [at for at in tree.root.times("cancel")[:1] if left <= at <= right]:
        axes.plot(
            [at, at],
            [top + 1.5, top + 1 + len(tree.rows)],
            color="#d21f3c",
            linewidth=0.9,
            linestyle=(0, (1, 2)),
            zorder=1,
        )
