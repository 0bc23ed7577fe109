"""How a figure shows the states of an invocation: every kind of bar and mark, once for all figures.

Each differs from the others in more than its colour (in height, hatch, edge or form), so that a
figure can be read in grey, and each has a character for the figure's text.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

__all__ = [
    "BARS",
    "FONT_SIZE",
    "INK",
    "MARKS",
    "PALE",
    "WIDTH_INCHES",
    "BarStyle",
    "MarkStyle",
    "draw_bar",
    "draw_legend",
    "draw_mark",
    "filled",
    "legend_line",
    "marker",
]

WIDTH_INCHES = 9.5
FONT_SIZE = 8.5
INK = "#1f2933"
PALE = "#7b8794"  # notes, axes, connectors

_BLUE = "#5b9bdf"
_VIOLET = "#6f42a8"


@dataclass(frozen=True)
class BarStyle:
    """How a state looks that lasts; `height` is its share of a row's height."""

    meaning: str
    character: str
    face: str
    edge: str
    height: float
    hatch: str = ""
    line: str = "-"


@dataclass(frozen=True)
class MarkStyle:
    """How something looks that happens at one moment; `marker` is matplotlib's."""

    meaning: str
    character: str
    marker: str
    face: str
    edge: str
    size: float = 7.0


# In the order in which a legend lists them.
BARS = {
    "queued": BarStyle("queued", "-", "#c3c9d1", "#9aa5b1", 0.18),
    "running": BarStyle("running", "▒", _BLUE, _BLUE, 0.66),
    "step": BarStyle("durable step, such as a model call", "█", "#163a6b", "#163a6b", 0.42),
    "backing off": BarStyle(
        "failed: waiting or trying again", "/", "#f9b24d", "#a85b00", 0.66, "////"
    ),
    "paused": BarStyle("paused", "=", "#fff0a3", "#8a7400", 0.66, "...", "--"),
    "suspended": BarStyle("suspended", "_", "white", "#2f6fb7", 0.66),
    "cleanup": BarStyle("after the cancel signal", "\\", "#d9c6f2", _VIOLET, 0.66, "\\\\\\\\"),
}
MARKS = {
    "cancel": MarkStyle("cancel signal arrives", "✕", "X", "#d21f3c", "white", 9.0),
    "kill": MarkStyle("killed", "‡", "P", "black", "white", 9.5),
    "resume": MarkStyle("first sign of life after a pause", "▷", ">", "white", INK),
    "compensation": MarkStyle("compensation begins", "◆", "D", _VIOLET, "white", 6.5),
    "completed": MarkStyle("completed", "●", "o", INK, INK, 5.5),
    "failed": MarkStyle("ended in failure", "○", "o", "white", INK, 5.5),
}


def draw_bar(axes: Axes, kind: str, row: float, begin: float, end: float) -> None:
    """Draw a state of BARS into a row, which is one unit of the y axis high."""
    from matplotlib.patches import Rectangle

    style = BARS[kind]
    axes.add_patch(
        Rectangle(
            (begin, row - style.height / 2), end - begin, style.height, **filled(style), zorder=2
        )
    )


def draw_mark(axes: Axes, kind: str, row: float, at: float) -> None:
    """Draw a mark of MARKS in a row; it may stand out of the axes."""
    axes.plot([at], [row], **marker(MARKS[kind]), clip_on=False, zorder=4)


def draw_legend(figure: Figure, kinds: Collection[str], **where: Any) -> Legend | None:
    """Explain those kinds of BARS and MARKS that occur; None if there are none.

    `where` goes to matplotlib's `Figure.legend`, such as `loc` and `bbox_to_anchor`.
    """
    from matplotlib.legend_handler import HandlerPatch
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch, Rectangle

    styles = {style.meaning: style for kind, style in BARS.items() if kind in kinds}

    def _sample(orig_handle: Patch, width: float, height: float, **_: Any) -> Rectangle:
        share = styles[str(orig_handle.get_label())].height
        return Rectangle((0, height * (0.5 - share * 0.75)), width, height * share * 1.5)

    bars: list[Any] = [Patch(label=meaning, **filled(style)) for meaning, style in styles.items()]
    marks = [
        Line2D([], [], label=style.meaning, **marker(style))
        for kind, style in MARKS.items()
        if kind in kinds
    ]
    if not bars and not marks:
        return None
    return figure.legend(
        handles=[*bars, *marks],
        handler_map={Patch: HandlerPatch(patch_func=_sample)},
        fontsize=FONT_SIZE - 0.5,
        frameon=False,
        labelcolor=INK,
        **where,
    )


def legend_line(kinds: Collection[str]) -> str:
    """The same in text: `▒ running · ✕ cancel signal arrives`."""
    bars = [f"{style.character} {style.meaning}" for kind, style in BARS.items() if kind in kinds]
    marks = [f"{style.character} {style.meaning}" for kind, style in MARKS.items() if kind in kinds]
    return " · ".join(bars + marks)


def filled(style: BarStyle) -> dict[str, Any]:
    """How matplotlib is to fill a patch of this kind."""
    return {
        "facecolor": style.face,
        "edgecolor": style.edge,
        "hatch": style.hatch,
        "linestyle": style.line,
        "linewidth": 0.9,
    }


def marker(style: MarkStyle) -> dict[str, Any]:
    """How matplotlib is to draw a mark of this kind."""
    return {
        "marker": style.marker,
        "markerfacecolor": style.face,
        "markeredgecolor": style.edge,
        "markersize": style.size,
        "linestyle": "none",
    }
