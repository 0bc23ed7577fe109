"""The statuses that an invocation can have, and what leads from one to another, as a map.

The statuses are the engine's own (`sys_invocation.status`). A cancel is no way out of its own: it
wakes the handler, which then ends in failure. A kill is one: it asks no handler.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EDGES", "FAILURE", "KILL", "NODES", "START", "Edge", "Node", "node_of", "way_between"]


@dataclass(frozen=True)
class Node:
    """A status: the middle and the width of its box, its look in BARS or MARKS, its words."""

    x: float
    y: float
    width: float
    look: str
    words: str = ""


SUCCESS, FAILURE = "success", "failure"
NODES = {
    "scheduled": Node(116, 36, 88, "queued"),
    "pending": Node(116, 106, 88, "queued"),
    "ready": Node(238, 106, 62, "queued"),
    "running": Node(362, 106, 92, "running"),
    "suspended": Node(362, 30, 92, "suspended"),
    "backing-off": Node(362, 192, 92, "backing off"),
    "paused": Node(489, 192, 82, "paused"),
    SUCCESS: Node(625, 60, 114, "completed", "completed · success"),
    FAILURE: Node(625, 144, 114, "failed", "completed · failure"),
}


@dataclass(frozen=True)
class Edge:
    """The corners of an arrow, what leads along it, where that is written, where its steps are."""

    points: tuple[tuple[float, float], ...]
    words: str
    at: tuple[float, float]
    align: str
    badge: tuple[float, float]
    stacked: bool = False  # its steps, for want of room


START = (14.0, 106.0)
_OUT = ((408, 98), (547, 98))  # from running to both its ends
KILL = "any"
EDGES = {
    ("", "scheduled"): Edge((START, (14, 36), (72, 36)), "delayed", (40, 28), "center", (14, 70)),
    ("", "pending"): Edge((START, (72, 106)), "key held", (42, 96), "center", (38, 106)),
    ("", "ready"): Edge(
        (START, (14, 166), (238, 166), (238, 121)), "any other", (46, 158), "center", (150, 166)
    ),
    ("scheduled", "pending"): Edge(
        ((116, 51), (116, 91)), "key held", (125, 71), "left", (116, 68)
    ),
    ("scheduled", "ready"): Edge(
        ((160, 36), (238, 36), (238, 91)), "due", (181, 28), "center", (238, 62)
    ),
    ("pending", "ready"): Edge(
        ((160, 106), (207, 106)), "key free", (187, 96), "center", (180, 106)
    ),
    ("ready", "running"): Edge(
        ((269, 106), (316, 106)), "attempt", (292, 96), "center", (288, 106)
    ),
    ("running", "suspended"): Edge(
        ((346, 91), (346, 45)), "a long wait", (336, 68), "right", (346, 70)
    ),
    ("suspended", "running"): Edge(
        ((378, 45), (378, 91)), "a result, a signal", (388, 68), "left", (378, 66)
    ),
    ("running", "backing-off"): Edge(
        ((346, 121), (346, 177)), "attempt fails", (336, 136), "right", (346, 146), stacked=True
    ),
    ("backing-off", "running"): Edge(
        ((378, 177), (378, 121)), "next attempt", (388, 166), "left", (378, 152), stacked=True
    ),
    ("running", "paused"): Edge(
        ((408, 106), (514, 106), (514, 177)), "pause", (504, 164), "right", (514, 140), stacked=True
    ),
    ("paused", "running"): Edge(
        ((470, 177), (470, 114), (408, 114)), "resume, cancel", (463, 132), "right", (440, 114)
    ),
    ("backing-off", "paused"): Edge(
        ((408, 192), (448, 192)), "out of attempts, pause", (428, 216), "center", (425, 192)
    ),
    ("running", SUCCESS): Edge(
        (*_OUT, (547, 60), (568, 60)), "returns", (556, 88), "left", (547, 80)
    ),
    ("running", FAILURE): Edge(
        (*_OUT, (547, 144), (568, 144)),
        "raises its own error,\nor the cancel it was sent",
        (556, 114),
        "left",
        (547, 126),
    ),
    (KILL, FAILURE): Edge(
        ((538, 192), (625, 192), (625, 159)), "kill, at any time", (545, 201), "left", (582, 192)
    ),
}


def node_of(status: str) -> str:
    """The box of a status of `lifecycle_rows`; both failures and successes are `completed`."""
    parts = status.split(" · ")
    return parts[1] if len(parts) > 1 else parts[0]


def way_between(earlier: str, later: str, status: str) -> list[tuple[str, str]]:
    """The edges from one status to the next; "" is where an invocation begins."""
    if status.endswith("[409] killed"):
        return [(KILL, FAILURE)]
    if later == "running" and earlier in {"", "scheduled", "pending", "ready"}:
        through = [] if earlier == "ready" else [(earlier, "ready")]
        return [*through, ("ready", "running")]
    if later in {SUCCESS, FAILURE}:
        return [("running", later)]
    return [(earlier, later)] if (earlier, later) in EDGES else []
