"""Who was at work when: a lane for each invocation, on an axis that counts events, not seconds.

So a picture is the same however fast the machine is and however slowly somebody reads.
"""

from __future__ import annotations

import html
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench.ids import WIDTH, display
from workbench.views.invocation_row import fetch, in_list, instant, status, without
from workbench.views.journal_entry import CANCEL_SIGNAL
from workbench.views.tree import HOW, tree_rows

if TYPE_CHECKING:
    from workbench.clients import Admin

_ROOM = 60
"""Characters for the lanes; from one event to the next there are four at most."""

# What happens to an invocation: the sign for it, and how its lane goes on. Where several happen in
# one millisecond, what ends comes before what that brings about.
_ENDS, _CANCEL, _FAILS, _PAUSES, _GOES_ON, _BEGINS, _STARTS, _ENDS_AT_ONCE = range(8)
_LOOKS = {
    _BEGINS: ("", "┄"),
    _STARTS: ("", "█"),
    _ENDS_AT_ONCE: ("█", "·"),
    _CANCEL: ("✕", "▒"),
    _FAILS: ("!", "~"),
    _PAUSES: ("", "‖"),
    _GOES_ON: ("", "█"),
    _ENDS: ("", "·"),
}
_MEANINGS = {
    "█": "at work",
    "┄": "waits for its turn",
    "✕": "cancelled",
    "▒": "at work after that",
    "!": "an attempt failed",
    "~": "waits, or tries again",
    "‖": "paused",
    "▶": "not over",
}
# Colours that read on a light ground and on a dark one.
_COLORS = {"█": "#3b82f6", "▶": "#3b82f6", "▒": "#a78bfa", "~": "#f59e0b", "‖": "#eab308"}
_COLORS |= {"✕": "#ef4444", "!": "#ef4444"}


class _Event(NamedTuple):
    at: datetime
    kind: int
    id: str


def show_lanes(admin: Admin, ids: Mapping[str, str] | Sequence[str]) -> None:
    """Show a lane for each invocation: `{"task 1": "inv_…"}`, or ids alone."""
    named = ids if isinstance(ids, Mapping) else {f"task {n}": id for n, id in enumerate(ids, 1)}
    _show(lanes(admin, list(named.items())))


def show_tree(admin: Admin, root: str, *, leave_out: Sequence[str] = ()) -> None:
    """Show a lane for each invocation below `root`, indented below its caller.

    `leave_out` names services or handlers of no interest, such as `UsageMeter`.
    """
    rows = without(tree_rows(admin, root), leave_out)
    _show(lanes(admin, [(_branch(row), row["id"]) for row in rows]))


def lanes(admin: Admin, named: Sequence[tuple[str, str]]) -> str:
    """The lanes as text, one for each label and id, with a legend of the signs in it."""
    rows = {row["id"]: row for row in fetch(admin, in_list("id", [id for _, id in named]))}
    events = _without_short_waits(sorted(_events(admin, rows)))
    step = max(1, min(4, _ROOM // max(1, len(events))))
    width = max((len(label) for label, _ in named), default=0)
    bars = {id: _bar(row, events, step) for id, row in rows.items()}
    drawn = [
        f"{label:<{width}}  {bars.get(id, '·' * step * len(events))}  "
        + (status(rows[id]) if id in rows else "no record")
        for label, id in named
    ]
    legend = [f"{s} {what}" for s, what in _MEANINGS.items() if any(s in b for b in bars.values())]
    return "\n".join([*drawn, "", *_lines(legend)])


def _lines(legend: Sequence[str]) -> Iterator[str]:
    """The legend in lines of at most `WIDTH` characters."""
    line = ""
    for part in legend:
        if line and len(f"{line} · {part}") > WIDTH:
            yield line
            line = ""
        line = f"{line} · {part}" if line else part
    yield line


def _events(admin: Admin, rows: Mapping[str, Any]) -> Iterator[_Event]:
    for id, row in rows.items():
        began = instant(row["created_at"])
        yield _Event(began, _BEGINS, id)
        if row["running_at"]:
            yield _Event(instant(row["running_at"]), _STARTS, id)
        if row["completed_at"]:
            ended = instant(row["completed_at"])
            yield _Event(ended, _ENDS if ended > began else _ENDS_AT_ONCE, id)
    where = in_list("id", rows)
    entries = admin.query(
        f"SELECT id, index, appended_at, entry_lite_json FROM sys_journal WHERE {where}", echo=False
    )
    for entry in entries:
        if is_cancel(json.loads(entry["entry_lite_json"])):
            yield _Event(instant(entry["appended_at"]), _CANCEL, entry["id"])
    failures = admin.query(
        "SELECT id, appended_at, event_type FROM sys_journal_events "
        f"WHERE {where} AND event_type IN ('TransientError', 'Paused')",
        echo=False,
    )
    for failure in failures:
        at = instant(failure["appended_at"])
        kind = _PAUSES if failure["event_type"] == "Paused" else _FAILS
        yield _Event(at, kind, failure["id"])
    for id in {failure["id"] for failure in failures}:  # it goes on with the next entry
        last = max(instant(one["appended_at"]) for one in failures if one["id"] == id)
        later = [
            instant(entry["appended_at"])
            for entry in entries
            if entry["id"] == id and instant(entry["appended_at"]) > last
        ]
        if later:
            yield _Event(min(later), _GOES_ON, id)


def _without_short_waits(events: list[_Event]) -> list[_Event]:
    """The events; a start that follows its beginning before anything else happens is no event."""
    return [
        event
        for before, event in zip([None, *events], events, strict=False)
        if not (event.kind == _STARTS and before and before[1:] == (_BEGINS, event.id))
    ]


def _bar(row: Mapping[str, Any], events: Sequence[_Event], step: int) -> str:
    """The lane of one invocation: a sign where something happens to it, then how it goes on."""
    bar, filling = "", "·"
    starts = {(event.id, event.kind) for event in events}
    cancelled = over = False
    for event in events:
        sign = ""
        if event.id == row["id"] and not over:
            sign, filling = _LOOKS[event.kind]
            if event.kind == _BEGINS and (event.id, _STARTS) not in starts and row["running_at"]:
                filling = "█"
            cancelled |= event.kind == _CANCEL
            if event.kind == _GOES_ON and cancelled:
                filling = "▒"
            over = event.kind in (_ENDS, _ENDS_AT_ONCE)
        bar += sign + filling * (step - len(sign))
    return bar if row["completed_at"] else bar[:-1] + "▶"


def is_cancel(entry: Any) -> bool:
    """Whether a journal's entry (`entry_lite_json`, parsed) is a cancellation."""
    ((side, content),) = entry.items()
    return side == "Notification" and bool(content["id"].get("SignalIndex") == CANCEL_SIGNAL)


def _branch(row: Mapping[str, Any]) -> str:
    service, *key, handler = row["target"].split("/")
    name = f"{service}/…/{handler}" if key else f"{service}/{handler}"
    return f"{row['branch'].replace('── ', '─ ')}{name}{HOW.get(row['how'], '')}"


def _show(text: str) -> None:
    display({"text/plain": text, "text/html": f"<pre>{colored(text)}</pre>"})


def colored(text: str) -> str:
    """A picture as HTML, to stand in a `<pre>`."""
    parts = []
    for color, run in itertools.groupby(text, lambda sign: _COLORS.get(sign, "")):
        part = html.escape("".join(run))
        parts.append(f'<span style="color: {color}">{part}</span>' if color else part)
    return "".join(parts)
