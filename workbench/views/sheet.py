"""A sheet to draw on in points, for figures that are no charts: the tree, the lifecycle.

The origin is the upper left corner, so that rows go down the page as in text.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from workbench.views.figure_style import FONT_SIZE, INK, WIDTH_INCHES
from workbench.views.picture import as_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CHARACTER", "MONOSPACE", "SHEET_WIDTH", "Sheet"]

_POINTS = 72  # to the inch
SHEET_WIDTH = WIDTH_INCHES * _POINTS
MONOSPACE = "DejaVu Sans Mono"
CHARACTER = 0.6021  # the width of one in MONOSPACE, in sizes of the font

_CAPTION_COLUMNS = 146
_CAPTION_LINE = 13.0


class Sheet:
    """A white sheet of `height` points, with room for the caption below.

    With `top`, as many of these points lie above the origin.

    Attributes:
        axes: what to draw on.
    """

    axes: Axes

    def __init__(self, height: float, caption: str, *, top: float = 0.0) -> None:
        from matplotlib.figure import Figure

        lines = textwrap.wrap(caption, _CAPTION_COLUMNS)
        whole = height + 6 + _CAPTION_LINE * len(lines)
        self._figure = Figure(figsize=(WIDTH_INCHES, whole / _POINTS))
        self.axes = self._figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, SHEET_WIDTH), ylim=(whole - top, -top))
        self.axes.set_axis_off()
        for number, line in enumerate(lines):
            self.text(4, height - top + 12 + _CAPTION_LINE * number, line)

    def text(self, x: float, y: float, text: str, **how: Any) -> None:
        """Write `text`, its middle at the height `y`."""
        style = {"fontsize": FONT_SIZE, "color": INK, "va": "center", "parse_math": False, **how}
        self.axes.text(x, y, text, **style)

    def png(self) -> bytes:
        """What has been drawn."""
        return as_png(self._figure, cut=False)
