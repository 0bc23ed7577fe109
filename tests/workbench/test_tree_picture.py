from __future__ import annotations

from typing import Any

from workbench.views.tree_caption import tree_caption

from workbench.views.tree_picture import picture_of_tree

PNG = b"\x89PNG\r\n"
SUCCESS = "completed · success"
CANCELLED = "completed · failure · [409] cancelled"


def _row(number: int, how: str, target: str, status: str, branch: str = "├── ") -> dict[str, Any]:
    id, root = f"inv_1gHnJWs8VdOb6douJg5zjkEKJ{number:09}", f"inv_1gHnJWs8VdOb6douJg5zjkEKJ{0:09}"
    parent = None if how == "root" else root
    return {
        "id": id,
        "parent": parent,
        "branch": "" if how == "root" else branch,
        "target": target,
        "how": how,
        "status": status,
    }


def test_a_tree_is_drawn_and_keeps_its_text() -> None:
    rows = [
        _row(0, "root", "CodingTask/run_task", CANCELLED),
        _row(1, "call", "Workspace/mine/begin", SUCCESS),
        _row(2, "call", "CodingTask/write_file", CANCELLED),
        _row(3, "call", "CodingTask/write_file", CANCELLED),
        _row(4, "one-way", "UsageMeter/mine/record", SUCCESS, "└── "),
    ]
    picture = picture_of_tree(rows)
    assert picture.png.startswith(PNG)
    lines = picture.text.splitlines()
    assert lines[2].startswith("├── CodingTask/write_file     ")
    assert lines[2].endswith(f"  inv_1gHnJ…0002  {CANCELLED}")
    assert lines[4].startswith("└── UsageMeter/mine/record (one-way)  inv_")
    assert picture.caption == (
        "run_task was cancelled. Of the 3 calls in its tree, 2 were cancelled (write_file ×2) and "
        "1 completed (begin). The one-way send in its tree (record) completed. Solid lines lead to "
        "calls, dotted ones to sends."
    )


def test_every_status_can_be_drawn() -> None:
    statuses = ["scheduled", "pending", "ready", "running", "backing-off", "suspended", "paused"]
    ends = [
        SUCCESS,
        CANCELLED,
        "completed · failure · [409] killed",
        "completed · failure · [422] no",
    ]
    rows = [_row(0, "root", "Probe/root", "running")]
    for number, status in enumerate([*statuses, *ends, "no record"], start=1):
        how = ("call", "one-way", "delayed", "unknown")[number % 4]
        rows.append(_row(number, how, f"Probe/{'x' * 12 * number}/handle", status))
    assert picture_of_tree(rows).png.startswith(PNG)


def test_a_tree_too_long_to_draw_is_whole_in_text() -> None:
    rows = [_row(0, "root", "Probe/root", SUCCESS)]
    rows += [_row(number, "call", "Probe/leaf", SUCCESS) for number in range(1, 201)]
    picture = picture_of_tree(rows)
    assert len(picture.text.splitlines()) == 201
    assert int.from_bytes(picture.png[20:24], "big") < 1100  # the height, in the image's header


def test_a_deep_tree_leaves_room_for_its_targets() -> None:
    rows = [_row(0, "root", "Probe/root", SUCCESS)]
    for depth in range(1, 36):
        child = _row(depth, "call", "Probe/middle", SUCCESS, "    " * (depth - 1) + "└── ")
        rows.append({**child, "parent": rows[-1]["id"]})
    assert picture_of_tree(rows).png.startswith(PNG)


def test_captions() -> None:
    alone = tree_caption([_row(0, "root", "Box/mine/put", "no record")])
    assert alone == "put left no record. It called no other invocation."
    names = ["a", "b", "b", "c", "d", "e"]
    rows = [_row(0, "root", "Probe/root", "completed · failure · [422] no such thing")]
    rows += [_row(n, "call", f"Probe/{name}", "running") for n, name in enumerate(names, 1)]
    assert tree_caption(rows) == (
        "root failed with [422] no such thing. The 6 calls in its tree (b ×2, a, c and 2 more) are "
        "running."
    )
