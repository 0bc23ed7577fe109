"""The statuses of one invocation as a picture: the map of all, and the way that this one took."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.clients import sql_text
from workbench.ids import clipped, short_ids
from workbench.views.figure_style import PALE
from workbench.views.invocation_row import fetch
from workbench.views.lifecycle.diagram import DIAGRAM_HEIGHT, draw_badge, draw_diagram
from workbench.views.lifecycle.rows import lifecycle_rows
from workbench.views.picture import Picture, show_picture
from workbench.views.sheet import Sheet

if TYPE_CHECKING:
    from workbench.clients import Admin

__all__ = ["picture_of_lifecycle", "show_lifecycle"]

_MAX_STEPS = 12  # of which the first are left out, when there are more
_LINE = 14.0
_COLUMNS = 100


def show_lifecycle(admin: Admin, id: str) -> None:
    """Show which statuses invocation `id` went through, and when, on the map of all statuses.

    Suspensions that are over leave nothing and are not shown, nor are attempts that failed as the
    one before: see `lifecycle_rows`.
    """
    found = fetch(admin, f"id = {sql_text(id)}")
    what = f"{found[0]['target']} {id}" if found else id
    show_picture(picture_of_lifecycle(lifecycle_rows(admin, id), what))


def picture_of_lifecycle(rows: Sequence[dict[str, Any]], what: str) -> Picture:
    """Rows of `lifecycle_rows` as a picture; `what` names the invocation: its target and id."""
    caption = _caption(rows, what)
    timed = [{**row, "time": _time(row)} for row in rows]
    return Picture(png=_drawn(timed, what, caption), text=_text(timed, what), caption=caption)


def _time(row: dict[str, Any]) -> str:
    if row["ms"] is None:
        return "? ms"
    return f"{row['ms']} ms" if row["exact"] else f"≤ {row['ms']} ms"


def _text(rows: Sequence[dict[str, Any]], what: str) -> str:
    way = " → ".join(row["status"] for row in rows) or "(no record)"
    lines = [short_ids(f"Lifecycle of {what}"), *textwrap.wrap(way, _COLUMNS), ""]
    wide = max((len(row["time"]) for row in rows), default=0)
    for number, row in enumerate(rows, start=1):
        head = f"{number:>2}  {row['time']:>{wide}}  {row['status']}"
        lines.append(f"{head}: {clipped(row['why'], max(24, _COLUMNS - len(head) - 2))}")
    return "\n".join(lines)


def _drawn(rows: Sequence[dict[str, Any]], what: str, caption: str) -> bytes:
    listed = list(enumerate(rows, start=1))[-_MAX_STEPS:]
    top = 22.0
    steps_top = top + DIAGRAM_HEIGHT + 14
    sheet = Sheet(steps_top + _LINE * len(listed) - 4, caption, top=top)
    sheet.text(4, 8 - top, short_ids(f"Lifecycle of {what}"), fontweight="bold")
    draw_diagram(sheet, rows)
    for line, (number, row) in enumerate(listed):
        y = DIAGRAM_HEIGHT + 14 + _LINE * line
        draw_badge(sheet, 14, y, number)
        sheet.text(84, y, row["time"], ha="right")
        sheet.text(94, y, row["status"], fontweight="bold")
        sheet.text(300, y, clipped(row["why"], 84), color=PALE)
    return sheet.png()


def _caption(rows: Sequence[dict[str, Any]], what: str) -> str:
    if not rows:
        return f"Restate has no record of {short_ids(what)}."
    handler = what.split(" ", 1)[0].rsplit("/", 1)[-1]
    last = rows[-1]
    end = last["status"]
    over = end.startswith("completed")
    after = "" if last["ms"] is None else f" after {last['ms']} ms"
    steps = "1 status" if len(rows) == 1 else f"{len(rows)} statuses"
    said = [f"{handler} {'went' if over else 'has gone'} through {steps} and"]
    said.append(f"ended as {end}{after}." if over else f"is {end}.")
    statuses = ("scheduled", "pending", "backing-off", "paused")
    were = [_were(rows, status) for status in statuses if status != end]
    if any(were):
        said.append(f"It was {_joined([part for part in were if part])}.")
    return " ".join([*said, "Suspensions that are over leave no trace and are not shown."])


def _were(rows: Sequence[dict[str, Any]], status: str) -> str:
    """`paused twice (from 54 ms and 707 ms)`."""
    times = [_time(row) for row in rows if row["status"] == status]
    if not times:
        return ""
    often = {1: "", 2: " twice"}.get(len(times), f" {len(times)} times")
    return f"{status}{often} (from {_joined(times)})"


def _joined(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
