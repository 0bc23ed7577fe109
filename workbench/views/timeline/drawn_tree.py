"""A tree of lanes made ready to be drawn: which lanes, what stands left of each, and the title."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.ids import short_ids
from workbench.views.timeline.spans import Lane, without_bookkeeping

_ONE_WAY = {"one-way": " (one-way)", "delayed": " (delayed)", "unknown": " (called or sent)"}


@dataclass(frozen=True)
class DrawnLane:
    """A lane with its place in the tree.

    Attributes:
        label: the target in short: without an object's key, and without the service where it is the
            caller's; with the name of its first step where others are called the same.
        branch: the lines that lead to it, such as `│  ├─ `.
        above: how many rows above it its caller is; 0 for the root.
    """

    lane: Lane
    label: str
    branch: str
    depth: int
    above: int

    @property
    def waited_for(self) -> bool:
        """Whether it was called, and not sent."""
        return self.lane.how in {"root", "call"}


@dataclass(frozen=True)
class DrawnTree:
    """A tree with its title; `left_out` counts the lanes that are not drawn."""

    title: str
    rows: list[DrawnLane]
    left_out: int

    @property
    def root(self) -> Lane:
        """The lane at the top."""
        return self.rows[0].lane

    @property
    def note(self) -> str:
        """How many calls are left out; nothing if none are."""
        calls = "call" if self.left_out == 1 else "calls"
        return f"{self.left_out} bookkeeping {calls} not shown" if self.left_out else ""


def drawn_tree(lanes: Sequence[Lane], *, title: str = "") -> DrawnTree:
    """The lanes of a tree but for the bookkeeping; `title` goes ahead of the root's name."""
    kept = without_bookkeeping(lanes)
    names = {lane.id: lane.name for lane in kept}
    labels = {lane.id: _short(lane, names.get(lane.parent or "", "")) for lane in kept}
    often = Counter(labels.values())
    depths: dict[str | None, int] = {None: -1}
    branches: dict[str, str] = {}
    rows: list[DrawnLane] = []
    for position, lane in enumerate(kept):
        # A kept lane's caller is kept too.
        parent = None if position == 0 else lane.parent
        depths[lane.id] = depths[parent] + 1
        last = not any(other.parent == parent for other in kept[position + 1 :])
        branch = ""
        if parent is not None:
            before = branches[parent]
            branch = before + ("└─ " if last else "├─ ")
            branches[lane.id] = before + ("   " if last else "│  ")
        else:
            branches[lane.id] = ""
        label = labels[lane.id]
        if often[label] > 1 and lane.life and lane.life.steps:
            label += f" · {lane.life.steps[0].name}"
        above = next((n for n, row in enumerate(reversed(rows), 1) if row.lane.id == parent), 0)
        rows.append(
            DrawnLane(lane, label + _ONE_WAY.get(lane.how, ""), branch, depths[lane.id], above)
        )
    root = lanes[0]
    parts = [title, f"{root.handler} {short_ids(root.id)}", root.outcome]
    return DrawnTree(" · ".join(part for part in parts if part), rows, len(lanes) - len(kept))


def kinds_in(trees: Sequence[DrawnTree]) -> set[str]:
    """What a legend has to explain."""
    lives = [row.lane.life for tree in trees for row in tree.rows if row.lane.life]
    bars = {span.kind for life in lives for span in (*life.states, *life.steps)}
    return bars | {mark.kind for life in lives for mark in life.marks}


def last_moment(trees: Sequence[DrawnTree]) -> int:
    """The end of the axis of time. What is not due yet does not lengthen it."""
    lives = [row.lane.life for tree in trees for row in tree.rows if row.lane.life]
    begun = [life for life in lives if [span.kind for span in life.states] != ["queued"]]
    return max([1, *(life.states[-1].end for life in begun or lives)])


def _short(lane: Lane, caller: str) -> str:
    service, _, handler = lane.name.partition("/")
    return handler if service == caller.partition("/")[0] else lane.name
