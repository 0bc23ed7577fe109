"""The map of statuses on a sheet, with the way that one invocation took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.views.figure_style import BARS, INK, MARKS, PALE, filled, marker
from workbench.views.lifecycle.map import (
    EDGES,
    FAILURE,
    NODES,
    START,
    Edge,
    Node,
    node_of,
    way_between,
)
from workbench.views.sheet import Sheet

__all__ = ["DIAGRAM_HEIGHT", "draw_badge", "draw_diagram"]

DIAGRAM_HEIGHT = 236.0

_SIZE = 8.5
_HEIGHT = 30.0  # of a box
_TIMES_WIDTH = 14  # in a box, in characters
_THIN, _THICK = "#9aa5b1", INK


def draw_diagram(sheet: Sheet, rows: Sequence[dict[str, Any]]) -> None:
    """Draw all statuses, and the way of rows of `lifecycle_rows` in bold, with the rows' numbers.

    A row's `time` is written in its box.
    """
    _draw_groups(sheet)
    steps: dict[tuple[str, str], list[int]] = {}
    times: dict[str, list[str]] = {}
    earlier = ""
    for number, row in enumerate(rows, start=1):
        later = node_of(row["status"])
        times.setdefault(later, []).append(row["time"])
        way = way_between(earlier, later, row["status"])
        for edge in way:
            steps.setdefault(edge, [])
        if way:
            steps[way[-1]].append(number)
        earlier = later
    for edge in sorted(EDGES, key=lambda edge: edge in steps):  # the thick ones on top
        _draw_edge(sheet, EDGES[edge], steps.get(edge))
    end = rows[-1]["status"] if rows else ""
    for name, node in NODES.items():
        _draw_node(sheet, name, node, times.get(name), end)
    sheet.axes.plot(*START, "o", color=INK, markersize=7, zorder=5)


def _draw_groups(sheet: Sheet) -> None:
    """What a kill, or a cancel too, ends at once."""
    from matplotlib.patches import FancyBboxPatch

    for left, top, right, bottom in ((64, 12, 168, 130), (197, 6, 538, 226)):
        box = FancyBboxPatch(
            (left, top),
            right - left,
            bottom - top,
            boxstyle="round,pad=0,rounding_size=8",
            facecolor="#f8fafb",
            edgecolor="#c3c9d1",
            linestyle=(0, (4, 3)),
            zorder=0,
        )
        sheet.axes.add_patch(box)
    words = "cancel or kill: no record is left"
    sheet.text(116, 139, words, ha="center", fontsize=_SIZE - 0.5, color=PALE, fontstyle="italic")


def _draw_edge(sheet: Sheet, edge: Edge, steps: Sequence[int] | None) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    taken = steps is not None
    color = _THICK if taken else _THIN
    arrow = FancyArrowPatch(
        path=Path(list(edge.points)),
        arrowstyle="-|>",
        mutation_scale=11 if taken else 8,
        linewidth=2.2 if taken else 0.9,
        color=color,
        shrinkA=0,
        shrinkB=0,
        joinstyle="miter",
        fill=True,
        zorder=2 if taken else 1,
    )
    sheet.axes.add_patch(arrow)
    x, y = edge.at
    look = {"color": INK if taken else PALE, "fontsize": _SIZE - 0.5}
    sheet.text(x, y, edge.words, ha=edge.align, **look)
    shown = list(steps or ())[:3]
    for place, number in enumerate(shown):
        off = 13 * (place - (len(shown) - 1) / 2)
        across, down = (0.0, off) if edge.stacked else (off, 0.0)
        draw_badge(sheet, edge.badge[0] + across, edge.badge[1] + down, number)


def draw_badge(sheet: Sheet, x: float, y: float, number: int) -> None:
    """The number of a step, white on black."""
    sheet.axes.plot([x], [y], "o", color=INK, markeredgecolor="white", markersize=12.5, zorder=6)
    look = {"color": "white", "fontsize": 8 if number < 10 else 7, "fontweight": "bold"}
    sheet.text(x, y + 0.3, str(number), ha="center", zorder=7, **look)


def _draw_node(sheet: Sheet, name: str, node: Node, times: Sequence[str] | None, end: str) -> None:
    from matplotlib.patches import Rectangle

    left, top = node.x - node.width / 2, node.y - _HEIGHT / 2
    taken = times is not None
    box = Rectangle((left, top), node.width, _HEIGHT, facecolor="white", zorder=3)
    box.set(edgecolor=INK if taken else _THIN, linewidth=1.8 if taken else 0.9)
    sheet.axes.add_patch(box)
    if node.look in MARKS:
        kinds = {"[409] cancelled": "cancel", "[409] killed": "kill"}
        kind = kinds.get(end.split(" · ")[-1], node.look) if name == FAILURE else node.look
        mark = MARKS[kind]
        look = {**marker(mark), "markersize": mark.size + 1}
        sheet.axes.plot([left + 8], [node.y], **look, zorder=4)
    else:
        bar = BARS[node.look]
        height = (_HEIGHT - 8) * min(1.0, bar.height / 0.66)
        swatch = Rectangle((left + 4, node.y - height / 2), 9, height, **filled(bar), zorder=4)
        sheet.axes.add_patch(swatch)
    look = {"fontweight": "bold"} if taken else {"color": "#52606d"}
    size = _SIZE if node.look in BARS else 8  # two words have less room
    words = left + (18 if node.look in BARS else 16)
    sheet.text(words, node.y - 6 * taken, node.words or name, zorder=4, fontsize=size, **look)
    if times:
        said = ", ".join(times)
        if len(said) > _TIMES_WIDTH:
            said = f"{times[0]} (+{len(times) - 1})"
        sheet.text(words, node.y + 6, said, zorder=4, fontsize=8)
