from __future__ import annotations

import pytest

from workbench.admin import Admin
from workbench.ingress import Ingress
from workbench.state_dir import WorkbenchError
from workbench.views import show_state_changes, state_change_rows, state_of
from workbench.views.json_changes import changed_fields
from workbench.views.state_changes import StateSnapshot


def test_before_and_after(
    admin: Admin, ingress: Ingress, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = state_of(admin, "Box", key)
    assert empty == StateSnapshot("Box", key, {})
    turn = {"turn": 1, "status": "running", "plan": None, "task": {"files": ["a.py"]}}
    ingress.call("Box", "put", {"turn:1": turn, "newest": 1, "same": "é"}, key=key)
    before = state_of(admin, "Box", key)
    assert [(row["mark"], row["key"]) for row in state_change_rows(empty, before)] == [
        ("+", "newest"),
        ("+", "same"),
        ("+", "turn:1"),
    ]

    turn |= {"status": "interrupted", "plan": "x" * 300, "task": {"files": ["a.py", "b.py"]}}
    ingress.call("Box", "put", {"turn:1": turn, "newest": 2, "turn:2": {}}, key=key)
    after = state_of(admin, "Box", key)
    rows = state_change_rows(before, after)
    assert [tuple(row.values()) for row in rows] == [
        ("~", "newest", "", "1", "2"),
        ("=", "same", "", '"é"', '"é"'),
        ("~", "turn:1", "status", '"running"', '"interrupted"'),
        ("~", "turn:1", "plan", "null", f'"{"x" * 300}"'),
        ("~", "turn:1", "task.files[1]", None, '"b.py"'),
        ("+", "turn:2", "", None, "{}"),
    ]
    assert [row["mark"] for row in state_change_rows(after, before)] == ["~", "=", *"~~~", "-"]

    show_state_changes(before, after)
    printed = capsys.readouterr().out
    assert printed.startswith(f"State of Box/{key}: + new, - gone, ~ changed, = unchanged\n")
    assert '"running" → "interrupted"' in printed
    assert '(none) → "b.py"' in printed
    assert "=   1 unchanged" in printed
    assert max(len(line) for line in printed.splitlines()) <= 100


def test_long_values_are_shown_from_where_they_part(capsys: pytest.CaptureFixture[str]) -> None:
    text = "the same for a long time, " * 20
    before = StateSnapshot("Box", "mine", {"log": f"{text}then 1", "key " * 20: "1"})
    after = StateSnapshot("Box", "mine", {"log": f"{text}then 2, and on {text}", "key " * 20: "2"})
    show_state_changes(before, after)
    lines = capsys.readouterr().out.splitlines()
    assert '… then 1" → … then 2, and on the same' in "\n".join(lines)
    assert max(map(len, lines)) <= 100


def test_two_objects_are_not_compared() -> None:
    with pytest.raises(WorkbenchError, match="two objects: Box/a and Box/b"):
        state_change_rows(StateSnapshot("Box", "a", {}), StateSnapshot("Box", "b", {}))


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ("1", "1.0", [("", "1", "1.0")]),
        ("0", "false", [("", "0", "false")]),
        ("plain", '"plain"', []),  # the same value, stored as text and as JSON
        ("[]", "[3]", [("", "[]", "[3]")]),
        ("[1, 2]", "[1]", [("[1]", "2", None)]),
        ('{"a": {"b": [1]}}', '{"a": {"b": [2]}}', [("a.b[0]", "1", "2")]),
        ('{"a": 1}', '{"b": 1}', [("a", "1", None), ("b", None, "1")]),
        ('{"a": 1}', "[1]", [("", '{"a": 1}', "[1]")]),
    ],
)
def test_fields(before: str, after: str, changes: list[tuple[str, str | None, str | None]]) -> None:
    assert changed_fields(before, after) == changes
