"""The picture of a timeline: its rows from a real engine, its drawing from made-up rows."""

from __future__ import annotations

import io

import pytest
from matplotlib.image import imread
from workbench.views.timeline.caption import timeline_caption

from tests.flaky import Flaky
from tests.stack import Stack
from workbench.clients import Admin
from workbench.views import show_timeline, timeline_picture
from workbench.views.picture import as_png
from workbench.views.timeline.drawn_tree import drawn_tree
from workbench.views.timeline.figure import timeline_figure
from workbench.views.timeline.lifeline import Entry, Record, life_of
from workbench.views.timeline.spans import Lane, lane_trees
from workbench.views.timeline.text import timeline_text

PNG = b"\x89PNG\r\n"


def _kinds(lane: Lane) -> list[str]:
    assert lane.life
    return [span.kind for span in lane.life.states]


# From a real engine


def test_an_interruption_is_two_trees_on_one_axis(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    session = stack.session()
    old = session.message()["task_id"]
    session.wait_streaming(1, "write", calls=2)
    new = session.message("In Flask, please")["task_id"]
    session.wait_idle()

    first, second = lane_trees(stack.admin, [old, new])
    root = first[0]
    assert root.created == 0
    assert _kinds(root)[-2:] == ["running", "cleanup"]
    assert (root.outcome, second[0].outcome) == ("cancelled", "completed")
    assert root.ended is not None
    assert second[0].created is not None
    assert root.ended <= second[0].created
    (cancel,) = root.times("cancel")
    writers = [lane for lane in first if lane.name == "CodingTask/write_file"]
    assert len(writers) > 1
    (undo,) = root.times("compensation")
    for writer in writers:
        assert writer.life
        assert writer.ended is not None
        assert cancel <= writer.times("cancel")[0] <= writer.ended <= undo
        assert [step.name.split()[0] for step in writer.life.steps] == ["write"]
        assert all(step.end <= writer.ended for step in writer.life.steps)

    picture = timeline_picture(stack.admin, old, new, titles=["turn 1", "turn 2"])
    assert picture.png.startswith(PNG)
    lines = picture.text.splitlines()
    assert max(map(len, lines)) <= 100
    assert any(line.startswith("turn 1 · run_task inv_") and "cancelled" in line for line in lines)
    assert any(line.startswith("├─ write_file · write ") and "✕" in line for line in lines)
    assert not any("UsageMeter" in line for line in lines)
    assert "bookkeeping calls not shown" in picture.text
    assert picture.caption.startswith(f"The cancel reached run_task at {cancel:,} ms, and ")
    assert "(Workspace/rollback)" in picture.caption
    assert "The next tree began" in picture.caption

    show_timeline(stack.admin, old, whole=True, caption="As it was.", cleanup=True)
    printed = capsys.readouterr().out
    assert "UsageMeter/record (one-way)" in printed
    assert "bookkeeping" not in printed
    assert "\nAs it was.\n" in printed
    assert "What they did once the cancel had come" in printed


def test_a_paused_and_resumed_one(admin: Admin, flaky: Flaky) -> None:
    ((lane,),) = lane_trees(admin, [flaky.id])
    assert (lane.outcome, lane.ended, lane.times("resume")) == ("paused", None, [])
    assert _kinds(lane)[-1] == "paused"
    assert "flaky was paused at" in timeline_picture(admin, flaky.id).caption

    flaky.mend()
    ((lane,),) = lane_trees(admin, [flaky.id])
    assert lane.outcome == "completed"
    assert "paused" in _kinds(lane)
    assert _kinds(lane)[-1] == "running"
    assert len(lane.times("resume")) == 1
    assert "the engine does not record a resume" in timeline_picture(admin, flaky.id).caption


def test_a_killed_tree_was_told_nothing(stack: Stack) -> None:
    session = stack.session()
    task = session.message()["task_id"]
    session.wait_streaming(1, "write", calls=2)
    stack.admin.kill(task)
    session.wait_idle()

    (tree,) = lane_trees(stack.admin, [task])
    killed = [lane for lane in tree if lane.times("kill")]
    assert killed[0].id == task
    assert len(killed) > 1
    assert not any(lane.times("cancel") or lane.times("compensation") for lane in tree)
    assert "none of them cleaned up" in timeline_picture(stack.admin, task).caption


def test_an_unknown_root_is_said_to_be_unknown(admin: Admin) -> None:
    picture = timeline_picture(admin, "inv_1767Q1fOiUnm1TeB2IqgfgesJgeOzmW6ax")
    assert "no record" in picture.text
    assert picture.png.startswith(PNG)
    with pytest.raises(ValueError, match="one root"):
        timeline_picture(admin)


# From made-up rows


def _lane(id: str, parent: str | None, target: str, begin: int, end: int | None) -> Lane:
    open_, how = end is None, "call" if parent else "root"
    status = "suspended" if open_ else "completed · success"
    record = Record("suspended" if open_ else "completed", None, begin, begin, end, None, 1000)
    entries = [
        Entry(0, "Command", "Input", begin),
        Entry(1, "Command", "Run", begin, "a step", 1),
        Entry(2, "Notification", "Run", min(begin + 400, end or 1000), "", 1),
    ]
    return Lane(id, parent, target, how, status, life_of(record, entries))


ROOT = _lane("inv_root", None, "Probe/root", 0, 1000)
TREE = [
    ROOT,
    _lane("inv_a", "inv_root", "Probe/leaf", 100, 600),
    _lane("inv_b", "inv_a", "Box/the/key/put", 120, 121),
    _lane("inv_c", "inv_root", "Probe/leaf", 100, None),
    Lane("inv_d", "inv_root", "Probe/note", "one-way", "no record", None),
    _lane("inv_e", "inv_root", "UsageMeter/k/record", 300, 310),
]


def test_the_tree_is_drawn_as_called() -> None:
    tree = drawn_tree(TREE, whole=False, title="turn 1")
    assert [(row.branch, row.label, row.above) for row in tree.rows] == [
        ("", "Probe/root", 0),
        ("├─ ", "leaf · a step", 1),
        ("│  └─ ", "Box/put", 1),
        ("├─ ", "leaf · a step", 3),
        ("└─ ", "note (one-way)", 4),
    ]
    assert (tree.title, tree.note) == (
        "turn 1 · root inv_root · completed",
        "1 bookkeeping call not shown",
    )
    whole = drawn_tree(TREE, whole=True)
    assert [row.label for row in whole.rows[-2:]] == ["note (one-way)", "UsageMeter/record"]
    assert whole.note == ""


def test_the_text_has_a_line_for_each() -> None:
    lines = timeline_text([drawn_tree(TREE, whole=False)]).splitlines()
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


def test_the_text_between_two_moments() -> None:
    lines = timeline_text([drawn_tree(TREE, whole=False)], between=(300, 640)).splitlines()
    assert lines[0] == "From 300 to 640 ms since root was created"
    assert lines[4] == "├─ leaf · a step   ████████████████████▒▒▒▒▒▒▒▒▒▒····  ● completed 600"
    assert lines[5] == "│  └─ Box/put      ··································  ● completed 121"


def test_the_figure_grows_with_its_rows() -> None:
    sizes = []
    for trees in ([TREE], [TREE, TREE], [[ROOT]]):
        drawn = [drawn_tree(tree, whole=True) for tree in trees]
        figure = timeline_figure(drawn, "What is to be seen. " * 12)
        sizes.append(figure.get_size_inches())
    one, two, little = sizes
    assert one[0] == two[0] == little[0] == 9.5
    assert little[1] < one[1] < two[1]


def test_nothing_is_drawn_outside_the_width() -> None:
    long = Lane("inv_x", "inv_root", "Service/" + "handler" * 20, "call", "no record", None)
    failed = Lane(
        "inv_y", "inv_root", "S/h", "call", f"completed · failure · [500] {'x' * 200}", ROOT.life
    )

    png = as_png(timeline_figure([drawn_tree([ROOT, long, failed], whole=True)], "Seen."))
    _, width, _ = imread(io.BytesIO(png)).shape
    assert width <= 9.7 * 110


def test_the_caption_of_what_is_not_over() -> None:
    lane = _lane("inv_c", None, "Probe/leaf", 0, None)
    assert timeline_caption([[lane]]) == (
        "At 1,000 ms, when this picture was made, leaf was suspended."
    )
