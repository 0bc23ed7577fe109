"""The call tree as a picture: rows as in a file tree, their status in form and colour.

Connectors are solid for calls, which are waited for and cancelled with their caller, and dotted for
sends, which are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.ids import clipped, short_ids, without_middle
from workbench.views.figure_style import BARS, INK, MARKS, PALE, filled, marker
from workbench.views.picture import Picture, show_picture
from workbench.views.sheet import CHARACTER, MONOSPACE, SHEET_WIDTH, Sheet
from workbench.views.tree import HOW, tree_rows
from workbench.views.tree_text import tree_lines

if TYPE_CHECKING:
    from workbench.clients import Admin

__all__ = ["picture_of_tree", "show_tree"]

_MAX_ROWS = 40  # in the drawing
_ROW, _STEP = 16.0, 22.0  # of the drawing, in points: the height of a row, a level's indent,
_MAX_INDENT = 220.0  # and that of the deepest
_TOP, _LEFT, _NODE = 10.0, 14.0, 8.0
_STATUS_X, _ID_X = SHEET_WIDTH - 196, SHEET_WIDTH - 306
_STATUS_WIDTH, _ID_WIDTH = 38, 22
_TARGET_SIZE, _ID_SIZE = 8.7, 8.0  # at 8.7, a character is 8 pixels wide
_DOTTED: Any = (0, (1.2, 2.0))
_CONNECTOR, _BAND, _FAILURE = "#52606d", "#f3f5f7", "#a3122b"

# Which mark or bar of the figures' style stands for a status.
_NODES = {
    "completed · success": "completed",
    "completed · failure · [409] cancelled": "cancel",
    "completed · failure · [409] killed": "kill",
    "scheduled": "queued",
    "pending": "queued",
    "ready": "queued",
    "running": "running",
    "backing-off": "backing off",
    "suspended": "suspended",
    "paused": "paused",
}


def show_tree(admin: Admin, root_id: str, *, caption: str) -> None:
    """Show the tree below `root_id` as a picture, each invocation with its id and status."""
    show_picture(picture_of_tree(tree_rows(admin, root_id), caption=caption))


def picture_of_tree(rows: Sequence[dict[str, Any]], *, caption: str) -> Picture:
    """Rows of `tree_rows` as a picture; of more than forty, the first are drawn."""
    return Picture(png=_drawn(rows, caption), text="\n".join(tree_lines(rows)), caption=caption)


def _drawn(rows: Sequence[dict[str, Any]], caption: str) -> bytes:
    shown = rows[:_MAX_ROWS]
    left_out = len(rows) - len(shown)
    sheet = Sheet(_TOP + _ROW * (len(shown) + bool(left_out)) - 4, caption)
    deepest = max(_depth(row) for row in shown)
    step = min(_STEP, _MAX_INDENT / max(deepest, 1))
    heights = {row["id"]: _TOP + _ROW * line for line, row in enumerate(shown)}
    for row in shown:
        below = [child for child in shown if child["parent"] == row["id"]]
        x, y = _LEFT + step * _depth(row), heights[row["id"]]
        if (y - _TOP) // _ROW % 2 == 0:
            _draw_band(sheet, y)
        ends = [(child["how"], heights[child["id"]]) for child in below]
        _draw_connectors(sheet, (x, y), x + step - _NODE, ends)
        _draw_node(sheet, row["status"], x, y)
        _draw_words(sheet, row, x + 12, y)
    if left_out:
        sheet.text(_LEFT, _TOP + _ROW * len(shown), f"(and {left_out} more)", color=PALE)
    return sheet.png()


def _draw_band(sheet: Sheet, y: float) -> None:
    """Lead the eye from a target to its status."""
    sheet.axes.axhspan(y - _ROW / 2, y + _ROW / 2, facecolor=_BAND, edgecolor="none", zorder=0)


def _depth(row: dict[str, Any]) -> int:
    return len(row["branch"]) // 4


def _draw_connectors(
    sheet: Sheet, node: tuple[float, float], right: float, below: list[tuple[str, float]]
) -> None:
    """From a node to its children; the trunk is solid as far down as the last call."""
    x, y = node
    if not below:
        return
    calls = [height for how, height in below if how == "call"]
    called = max(calls, default=y + _NODE)
    last = below[-1][1]
    top = y + _NODE
    strokes = [(True, [x, x], [top, called]), (False, [x, x], [max(called, top), last])]
    strokes += [(how == "call", [x, max(x, right)], [height, height]) for how, height in below]
    for solid, across, down in strokes:
        look: dict[str, Any] = {"linewidth": 1.2} if solid else {"linestyle": _DOTTED}
        sheet.axes.plot(across, down, color=_CONNECTOR, zorder=1, **look)


def _draw_node(sheet: Sheet, status: str, x: float, y: float) -> None:
    """The status in form and colour: a mark for an end, a bar for what lasts."""
    from matplotlib.patches import Rectangle

    kind = _NODES.get(status, "failed")
    if status == "no record":
        sheet.text(x, y, "?", ha="center", color=PALE, zorder=3)
    elif kind in MARKS:
        mark = MARKS[kind]
        sheet.axes.plot([x], [y], **{**marker(mark), "markersize": mark.size + 1}, zorder=3)
    else:
        bar = BARS[kind]
        height = 13 * bar.height
        box = Rectangle((x - 6.5, y - height / 2), 13, height, **filled(bar), zorder=3)
        sheet.axes.add_patch(box)


def _draw_words(sheet: Sheet, row: dict[str, Any], x: float, y: float) -> None:
    """The target with its handler in bold and its key pale, the id, the status in words."""
    mark = HOW.get(row["how"], "").strip()
    width = int((_ID_X - x - 8) / (CHARACTER * _TARGET_SIZE)) - (len(mark) + 1 if mark else 0)
    service, slash, handler = without_middle(row["target"], width).rpartition("/")
    service, key_slash, key = service.partition("/")
    pieces = [
        (service, {}),
        (key_slash + key + slash, {"color": PALE}),
        (handler, {"fontweight": "bold"}),
        (f" {mark}" if mark else "", {"fontstyle": "italic", "color": _CONNECTOR}),
    ]
    for text, look in pieces:
        sheet.text(x, y, text, family=MONOSPACE, fontsize=_TARGET_SIZE, **look)
        x += len(text) * CHARACTER * _TARGET_SIZE
    id = clipped(short_ids(row["id"]), _ID_WIDTH)
    sheet.text(_ID_X, y, id, family=MONOSPACE, fontsize=_ID_SIZE, color=PALE)
    color = _FAILURE if "failure" in row["status"] else INK
    sheet.text(_STATUS_X, y, clipped(row["status"], _STATUS_WIDTH), color=color)
