"""The figures: what they say of an interruption and of a life is true; anything can be drawn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.stack import Stack
from workbench.views.lifecycle.show import picture_of_lifecycle
from workbench.views.timeline.lifeline import Entry, Life, Record, life_of
from workbench.views.timeline.show import timeline_picture
from workbench.views.timeline.spans import lane_trees
from workbench.views.tree_picture import picture_of_tree

PNG = b"\x89PNG\r\n"
SUCCESS = "completed · success"
ENDS = [SUCCESS, "completed · failure · [409] cancelled", "completed · failure · [422] no"]


# Anything can be drawn


def _row(number: int, status: str) -> dict[str, Any]:
    how = ("call", "one-way", "delayed", "unknown")[number % 4] if number else "root"
    parent, branch = ("inv_0", "├── ") if number else (None, "")
    row = {"id": f"inv_{number}", "parent": parent, "branch": branch, "how": how}
    return {**row, "target": f"Probe/{'x' * 12 * (number % 12)}/handle", "status": status}


def test_any_tree_can_be_drawn_and_is_whole_in_text() -> None:
    statuses = ["running", "scheduled", "pending", "ready", "backing-off", "suspended", "paused"]
    statuses += [*ENDS, "no record", *[SUCCESS] * 190]
    rows = [_row(number, status) for number, status in enumerate(statuses)]
    picture = picture_of_tree(rows, caption="As it was.")
    assert picture.png.startswith(PNG)
    assert int.from_bytes(picture.png[20:24], "big") < 1100  # the height, in the header
    assert len(picture.text.splitlines()) == len(rows)


def test_any_lifecycle_can_be_drawn() -> None:
    way = ["scheduled", "pending", "running", "suspended", "running"]
    way += ["backing-off", "running", "paused", "ready"] * 4
    for end in ENDS:
        rows = [
            {"status": status, "ms": 1000 * n, "exact": n % 2 == 0, "why": "for a reason " * 10}
            for n, status in enumerate([*way, end])
        ]
        assert picture_of_lifecycle(rows, "Probe/root").png.startswith(PNG)


# Timelines


def test_an_interruption_is_two_trees_on_one_axis(stack: Stack) -> None:
    session = stack.session()
    old = session.message()["task_id"]
    session.wait_streaming(1, "write", calls=2)
    new = session.message("In Flask, please")["task_id"]
    session.wait_idle()

    first, second = lane_trees(stack.admin, [old, new])
    root = first[0]
    assert root.life
    assert [span.kind for span in root.life.states][-2:] == ["running", "cleanup"]
    assert (root.outcome, second[0].outcome) == ("cancelled", "completed")
    assert root.ended is not None
    assert second[0].created is not None
    assert root.ended <= second[0].created
    (cancel,) = root.times("cancel")
    (undo,) = root.times("compensation")
    writers = [lane for lane in first if lane.name == "CodingTask/write_file"]
    assert len(writers) > 1
    for writer in writers:
        assert writer.life
        assert writer.ended is not None
        assert cancel <= writer.times("cancel")[0] <= writer.ended <= undo
        assert [step.name.split()[0] for step in writer.life.steps] == ["write"]

    titles = ["turn 1", "turn 2"]
    picture = timeline_picture(stack.admin, old, new, caption="As it was.", titles=titles)
    assert picture.png.startswith(PNG)
    assert picture.caption == "As it was."
    lines = picture.text.splitlines()
    assert max(map(len, lines)) <= 100
    assert any(line.startswith("turn 1 · run_task inv_") and "cancelled" in line for line in lines)
    assert any(line.startswith("├─ write_file · write ") and "✕" in line for line in lines)
    assert not any("UsageMeter" in line for line in lines)
    assert "bookkeeping calls not shown" in picture.text


OVER = Record("completed", None, created=0, running=10, completed=500, last_start=None, now=9000)
OPEN = replace(OVER, status="running", completed=None, now=800)
INPUT = Entry(0, "Command", "Input", 0)
RUN = Entry(1, "Command", "Run", 20, "plan", 1)
DONE = Entry(2, "Notification", "Run", 300, "", 1)
PAUSED = Entry(2, "Event", "Paused", 320)
CANCEL = Entry(3, "Notification", "Signal", 350, "cancel")
UNDO = Entry(4, "Command", "Call", 400, "Box/key/put", 2)
FAILED = Entry(1, "Event", "TransientError", 50)
OUTPUT = Entry(5, "Command", "Output", 480)


def _said(life: Life) -> str:
    """States and marks with their times, as in `running 10-500 · completed 500`."""
    spans = [f"{span.kind} {span.begin}-{span.end}" for span in (*life.states, *life.steps)]
    return " · ".join([*spans, *(f"{mark.kind} {mark.at}" for mark in life.marks)])


@pytest.mark.parametrize(
    ("record", "entries", "said"),
    [
        (OVER, [RUN, DONE], "running 10-500 · step 20-300 · completed 500"),
        (OPEN, [RUN], "running 10-800 · step 20-800"),
        (
            replace(OVER, failure="[409] cancelled"),
            [CANCEL, UNDO],
            "running 10-350 · cleanup 350-500 · cancel 350 · compensation 400 · failed 500",
        ),
        (replace(OVER, failure="[409] killed"), [], "running 10-500 · kill 500"),
        (  # a failure lasts up to the next sign of life
            OVER,
            [RUN, FAILED, DONE],
            "running 10-50 · backing off 50-300 · running 300-500 · step 20-50 · completed 500",
        ),
        (  # a result that comes in is no sign of life of a paused one
            OVER,
            [PAUSED, replace(DONE, at=400), OUTPUT],
            "running 10-320 · paused 320-480 · running 480-500 · resume 480 · completed 500",
        ),
        (  # a cancel wakes it
            replace(OVER, failure="[409] cancelled"),
            [PAUSED, CANCEL],
            "running 10-320 · paused 320-350 · cleanup 350-500 · cancel 350 · failed 500",
        ),
        (  # the attempt under way tells when it was resumed
            replace(OPEN, last_start=700),
            [PAUSED],
            "running 10-320 · paused 320-700 · running 700-800 · resume 700",
        ),
        (  # that it is suspended is known for the present only
            replace(OPEN, status="suspended"),
            [RUN, DONE],
            "running 10-300 · suspended 300-800 · step 20-300",
        ),
        (  # what a restart took over is not its own
            OVER,
            [replace(RUN, at=-400), replace(DONE, at=-300)],
            "running 10-500 · completed 500",
        ),
    ],
)
def test_a_life_is_what_the_engine_has_recorded(
    record: Record, entries: list[Entry], said: str
) -> None:
    assert _said(life_of(record, [INPUT, *entries])) == f"queued 0-10 · {said}"
