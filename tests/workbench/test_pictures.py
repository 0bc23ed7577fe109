"""The pictures of trees, timelines and lifecycles: what they say; anything can be drawn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.flaky import Flaky
from tests.stack import Stack
from workbench import show_lifecycle
from workbench.clients import Admin, Ingress
from workbench.views.lifecycle.rows import lifecycle_rows
from workbench.views.lifecycle.show import picture_of_lifecycle
from workbench.views.timeline.drawn_tree import drawn_tree
from workbench.views.timeline.lifeline import Entry, Life, Record, life_of
from workbench.views.timeline.show import timeline_picture
from workbench.views.timeline.spans import Lane, lane_trees
from workbench.views.timeline.text import timeline_text
from workbench.views.tree_picture import picture_of_tree

PNG = b"\x89PNG\r\n"
UNKNOWN = "inv_1767Q1fOiUnm1TeB2IqgfgesJgeOzmW6ax"
SUCCESS = "completed · success"
CANCELLED = "completed · failure · [409] cancelled"
ENDS = [SUCCESS, CANCELLED, "completed · failure · [409] killed", "completed · failure · [422] no"]


# Trees


def _row(number: int, how: str, target: str, status: str) -> dict[str, Any]:
    ids = [f"inv_1gHnJWs8VdOb6douJg5zjkEKJ{each:09}" for each in (number, 0)]
    parent, branch = (None, "") if how == "root" else (ids[1], "├── ")
    row = {"id": ids[0], "parent": parent, "branch": branch}
    return {**row, "target": target, "how": how, "status": status}


def test_any_tree_can_be_drawn_and_is_whole_in_text() -> None:
    statuses = ["scheduled", "pending", "ready", "running", "backing-off", "suspended", "paused"]
    rows = [_row(0, "root", "Probe/root", "running")]
    for number, status in enumerate([*statuses, *ENDS, "no record", *[SUCCESS] * 190], start=1):
        how = ("call", "one-way", "delayed", "unknown")[number % 4]
        rows.append(_row(number, how, f"Probe/{'x' * 12 * (number % 12)}/handle", status))
    for depth in range(200, 236):
        child = {"branch": "    " * (depth - 200) + "└── ", "parent": rows[-1]["id"]}
        rows.append({**_row(depth, "call", "Probe/middle", SUCCESS), **child})
    for shown in (rows, rows[:1] + rows[-35:]):
        picture = picture_of_tree(shown, caption="As it was.")
        assert picture.png.startswith(PNG)
        assert int.from_bytes(picture.png[20:24], "big") < 1100  # the height, in the header
        assert len(picture.text.splitlines()) == len(shown)
    assert f"inv_1gHnJ…0235  {SUCCESS}" in picture.text


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


def test_an_unknown_root_is_said_to_be_unknown(admin: Admin) -> None:
    assert "no record" in timeline_picture(admin, UNKNOWN, caption="").text
    with pytest.raises(ValueError, match="one root"):
        timeline_picture(admin, caption="")


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


def _lane(id: str, parent: str | None, target: str, begin: int, end: int | None) -> Lane:
    status = "suspended" if end is None else "completed"
    record = Record(status, None, begin, begin, end, None, 1000)
    entries = [
        Entry(0, "Command", "Input", begin),
        Entry(1, "Command", "Run", begin, "a step", 1),
        Entry(2, "Notification", "Run", min(begin + 400, end or 1000), "", 1),
    ]
    shown = SUCCESS if end else status
    return Lane(id, parent, target, "call" if parent else "root", shown, life_of(record, entries))


TREE = [
    _lane("inv_root", None, "Probe/root", 0, 1000),
    _lane("inv_a", "inv_root", "Probe/leaf", 100, 600),
    _lane("inv_b", "inv_a", "Box/the/key/put", 120, 121),
    _lane("inv_c", "inv_root", "Probe/leaf", 100, None),
    Lane("inv_d", "inv_root", "Probe/note", "one-way", "no record", None),
    _lane("inv_e", "inv_root", "UsageMeter/k/record", 300, 310),
]


def test_the_text_has_a_line_for_each() -> None:
    lines = timeline_text([drawn_tree(TREE)]).splitlines()
    assert lines[0] == "From 0 to 1,000 ms since root was created"
    assert lines[2:8] == [
        "root inv_root · completed (1 bookkeeping call not shown)",
        "Probe/root         ██████████████▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒  ● completed 1000",
        "├─ leaf · a step   ···██████████████▒▒▒▒·············  ● completed 600",
        "│  └─ Box/put      ····█·····························  ● completed 121",
        "├─ leaf · a step   ···██████████████_________________  suspended",
        "└─ note (one-way)  ··································  no record",
    ]
    assert lines[9].startswith("▒ running · █ durable step")
    lines = timeline_text([drawn_tree(TREE)], between=(300, 640)).splitlines()
    assert lines[0] == "From 300 to 640 ms since root was created"
    assert lines[4] == "├─ leaf · a step   ████████████████████▒▒▒▒▒▒▒▒▒▒····  ● completed 600"


# Lifecycles


def _statuses(rows: list[dict[str, Any]]) -> list[str]:
    return [row["status"] for row in rows]


def test_paused_resumed_in_vain_and_cancelled(
    admin: Admin, flaky: Flaky, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = lifecycle_rows(admin, flaky.id)
    assert _statuses(rows) == ["running", "backing-off", "paused"]
    assert rows[1]["why"] == "RT0007 · [500] RuntimeError('the provider is down') in call the model"
    assert rows[2]["why"].startswith("out of attempts: RT0007")

    admin.cancel(flaky.id)
    admin.wait_for(flaky.id, "completed")
    rows = lifecycle_rows(admin, flaky.id)
    assert _statuses(rows) == ["running", "backing-off", "paused", "running", CANCELLED]
    assert all(row["exact"] for row in rows)
    times = [row["ms"] for row in rows]
    assert times == sorted(times)
    assert rows[3]["why"] == "woken by a cancel signal"
    assert rows[4]["why"] == f"its handler read the cancel signal that came at {times[3]} ms"

    show_lifecycle(admin, flaky.id)
    title, way, *rest = capsys.readouterr().out.splitlines()
    assert title.startswith("Lifecycle of Probe/flaky inv_")
    assert way.startswith("running → backing-off → paused → running → completed · failure · [409]")
    assert max(len(line) for line in [way, *rest]) <= 100
    show_lifecycle(admin, UNKNOWN)
    assert "Restate has no record of inv_1767Q…W6ax." in capsys.readouterr().out


def test_resumed_by_hand_shows_in_what_the_handler_did_next(admin: Admin, flaky: Flaky) -> None:
    flaky.mend()
    rows = lifecycle_rows(admin, flaky.id)
    assert _statuses(rows)[2:] == ["paused", "running", SUCCESS]
    assert (rows[3]["exact"], rows[3]["why"]) == (False, "resumed")
    assert rows[4]["why"] == "its handler returned"


def test_queued_then_run_then_killed(admin: Admin, ingress: Ingress, key: str) -> None:
    first = ingress.send("Box", "hold", 60, key=key)
    admin.wait_for(first, "running")
    second = ingress.send("Box", "hold", 60, key=key)
    admin.wait_for(second, "pending")
    assert _statuses(lifecycle_rows(admin, second)) == ["pending"]
    admin.kill(first)
    admin.wait_for(second, "running")
    pending, running = lifecycle_rows(admin, second)
    assert pending["ms"] == 0 < running["ms"]
    admin.kill(second)
    admin.wait_for(second, "completed")
    end = lifecycle_rows(admin, second)[-1]
    assert end["status"] == "completed · failure · [409] killed"
    assert end["why"] == "killed: its handler was not asked"


def test_every_way_can_be_drawn() -> None:
    ways = [
        ["scheduled", "pending", "running", "suspended", "running", SUCCESS],
        ["running", "backing-off", "running", "backing-off", "paused", "running"] * 3,
        *(["paused", "ready", end] for end in ENDS),
    ]
    for way in ways:
        rows = [
            {"status": status, "ms": 1000 * n, "exact": n % 2 == 0, "why": "for a reason " * 10}
            for n, status in enumerate(way)
        ]
        assert picture_of_lifecycle(rows, f"Probe/root {UNKNOWN}").png.startswith(PNG)
