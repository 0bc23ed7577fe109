"""The rows behind the tables: what they say of real invocations is true.

How the tables look is in the outputs of the lessons, which every check compares.
"""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from workbench.views.lifecycle.rows import lifecycle_rows
from workbench.views.model_requests import in_order, model_request_rows
from workbench.views.state_changes import StateSnapshot, state_change_rows

from tests.flaky import Flaky
from workbench import (
    WorkbenchError,
    cleanup_rows,
    invocation_rows,
    journal_rows,
    lane_rows,
    show_lifecycle,
    show_state,
    show_state_changes,
    state_of,
    state_rows,
    timeline_rows,
    tree_rows,
    wait_until,
)
from workbench.clients import Admin, Ingress
from workbench.ids import clipped, without_middle
from workbench.restate import Restate
from workbench.views.clock import instant, milliseconds
from workbench.views.table import print_table

SUCCESS = "completed · success"
CANCELLED = "completed · failure · [409] cancelled"
UNKNOWN = "inv_1767Q1fOiUnm1TeB2IqgfgesJgeOzmW6ax"

Printed = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def cancelled(restate: Restate) -> str:
    """The id of a tree that was cancelled at its root when all its leaves were asleep."""
    with (
        Admin(restate, echo=lambda line: None) as admin,
        Ingress(restate, echo=lambda line: None) as ingress,
    ):
        root = ingress.send("Probe", "root", 60)

        def _asleep() -> bool:
            rows = tree_rows(admin, root)
            leaves = [row["id"] for row in rows if row["target"] == "Probe/leaf"]
            naps = [admin.query(_journal(leaf, "Command: Sleep"), echo=False) for leaf in leaves]
            sent = [row["status"] for row in rows if row["how"] == "one-way"]
            return len(leaves) == 2 and all(naps) and sent == [SUCCESS]

        def _over() -> bool:
            return all(row["status"] == CANCELLED for row in tree_rows(admin, root) if _called(row))

        wait_until(_asleep, what="the tree to be grown")
        admin.cancel(root)
        wait_until(_over, what="the tree to be cancelled")
    return root


def _called(row: dict[str, Any]) -> bool:
    how: str = row["how"]
    return how in {"root", "call"}


def _journal(id: str, entry_type: str) -> str:
    return f"SELECT index FROM sys_journal WHERE id = '{id}' AND entry_type = '{entry_type}'"


def test_tree_tells_calls_from_sends(admin: Admin, cancelled: str) -> None:
    rows = tree_rows(admin, cancelled)
    assert [(row["branch"], row["target"], row["how"], row["status"]) for row in rows] == [
        ("", "Probe/root", "root", CANCELLED),
        ("├── ", "Probe/middle", "call", CANCELLED),
        ("│   └── ", "Probe/leaf", "call", CANCELLED),
        ("├── ", "Probe/leaf", "call", CANCELLED),
        ("├── ", "Probe/note", "one-way", SUCCESS),
        ("└── ", "Probe/note", "delayed", "scheduled"),
    ]
    parents = [row["parent"] for row in rows]
    assert parents == [None, cancelled, rows[1]["id"], cancelled, cancelled, cancelled]


def test_tree_without_the_journal_does_not_say_how(admin: Admin, ingress: Ingress) -> None:
    root = ingress.send("Probe", "root", 0.01)
    admin.wait_for(root, "completed")
    admin.patch(f"/invocations/{root}/purge-journal")
    wait_until(
        lambda: not admin.query(_journal(root, "Command: Input"), echo=False),
        what="the journal to be gone",
    )
    rows = tree_rows(admin, root)
    assert len(rows) == 6
    assert {row["how"] for row in rows if row["parent"] == root} == {"unknown"}


def test_timeline_has_the_arrival_of_each_cancel(admin: Admin, cancelled: str) -> None:
    rows = timeline_rows(admin, cancelled)
    root, middle, leaf, _, sent, delayed = rows
    assert root["created"] == 0
    for told in (root, middle, leaf):
        (cancel,) = told["cancels"]
        assert 0 <= told["created"] <= told["running"] <= cancel <= told["completed"]
    assert root["cancels"] <= middle["cancels"] <= leaf["cancels"]
    assert sent["cancels"] == delayed["cancels"] == []
    assert delayed["running"] is None

    did = [(row["target"], row["did"]) for row in cleanup_rows(admin, cancelled)]
    assert did.count(("Probe/leaf", "Run compensate")) == 2
    assert [(who, what) for who, what in did if what.startswith("SendSignal")] == [
        ("Probe/root", "SendSignal cancel → Probe/middle"),
        ("Probe/root", "SendSignal cancel → Probe/leaf"),
        ("Probe/middle", "SendSignal cancel → Probe/leaf"),
    ]


def test_journal_joins_results_with_their_commands(admin: Admin, cancelled: str) -> None:
    rows = [row for row in journal_rows(admin, cancelled) if row["entry"] != "← CallInvocationId"]
    assert [(row["entry"], row["name"], row["done"]) for row in rows] == [
        ("Input", "", None),
        ("Run", "plan", True),
        ("← Run", "plan", None),
        ("Call", "Probe/middle", False),
        ("Call", "Probe/leaf", False),
        ("OneWayCall", "Probe/note", None),
        ("OneWayCall", "Probe/note", None),
        ("← Signal", "cancel", None),
        ("SendSignal", "cancel", None),
        ("SendSignal", "cancel", None),
        ("Output", "", None),
    ]
    results = [row["result"] for row in rows]
    assert results[0] == "60"
    assert results[2] == '{"text": "Grüße 🎉"}'
    assert re.fullmatch(r"inv_\w+ in 3\d{6} ms", results[6])
    assert results[8] == rows[3]["result"]  # the callee that is told
    assert results[10] == "[409] cancelled"


def test_a_failure_a_pause_and_a_resume_are_shown_where_they_happened(
    admin: Admin, flaky: Flaky
) -> None:
    flaky.mend()
    rows = journal_rows(admin, flaky.id)
    assert [(row["index"], row["entry"], row["name"]) for row in rows[3:]] == [
        (3, "Run", "call the model"),
        (None, "! TransientError", "call the model"),
        (None, "! Paused", "call the model"),
        (4, "← Run", "call the model"),
        (5, "Output", ""),
    ]
    assert rows[4]["result"] == "RT0007 · [500] RuntimeError('the provider is down')"
    assert rows[3]["done"] is True

    rows = lifecycle_rows(admin, flaky.id)
    statuses = [row["status"] for row in rows]
    assert statuses == ["running", "backing-off", "paused", "running", SUCCESS]
    assert (rows[3]["exact"], rows[3]["why"]) == (False, "resumed")
    assert rows[4]["why"] == "its handler returned"


def test_lifecycle_of_one_that_was_paused_and_cancelled(
    admin: Admin, flaky: Flaky, capsys: Printed
) -> None:
    admin.cancel(flaky.id)
    admin.wait_for(flaky.id, "completed")
    rows = lifecycle_rows(admin, flaky.id)
    statuses = [row["status"] for row in rows]
    assert statuses == ["running", "backing-off", "paused", "running", CANCELLED]
    assert all(row["exact"] for row in rows)
    times = [row["ms"] for row in rows]
    assert times == sorted(times)
    why = [row["why"] for row in rows]
    assert why[1] == "RT0007 · [500] RuntimeError('the provider is down') in call the model"
    assert why[2].startswith("out of attempts: RT0007")
    assert why[3] == "woken by a cancel signal"
    assert why[4] == f"its handler read the cancel signal that came at {times[3]} ms"
    show_lifecycle(admin, UNKNOWN)
    assert "Restate has no record of inv_1767Q…W6ax." in capsys.readouterr().out


def test_queued_then_run_then_killed(admin: Admin, ingress: Ingress, key: str) -> None:
    first = ingress.send("Box", "hold", 60, key=key)
    admin.wait_for(first, "running")
    second = ingress.send("Box", "hold", 60, key=key)
    admin.wait_for(second, "pending")
    rows = invocation_rows(admin, ids=[first, second])
    said = [(row["id"], row["status"], row["called by"]) for row in rows]
    assert said == [(first, "running", "ingress"), (second, "pending", "ingress")]

    admin.kill(first)
    admin.wait_for(second, "running")
    pending, running = lifecycle_rows(admin, second)
    assert (pending["status"], running["status"]) == ("pending", "running")
    assert pending["ms"] == 0 < running["ms"]
    admin.kill(second)
    admin.wait_for(second, "completed")
    end = lifecycle_rows(admin, second)[-1]
    assert end["status"] == "completed · failure · [409] killed"
    assert end["why"] == "killed: its handler was not asked"


def test_invocations_and_lanes(admin: Admin, cancelled: str) -> None:
    tree = tree_rows(admin, cancelled)
    rows = invocation_rows(admin, root=cancelled)
    assert [row["id"] for row in rows] == [row["id"] for row in tree]
    sent = [row["id"] for row in tree if row["target"] == "Probe/note"]
    notes = invocation_rows(admin, root=cancelled, ids=sent)
    assert {(row["called by"], row["caller"]) for row in notes} == {("Probe/root", cancelled)}
    assert invocation_rows(admin, ids=[]) == []

    ids = [row["id"] for row in tree if _called(row)]
    lanes = lane_rows(admin, ids[::-1])
    assert [row["id"] for row in lanes] == ids[::-1]
    assert (lanes[-1]["began"], lanes[-1]["status"]) == (0, CANCELLED)
    assert all(row["began"] <= row["ended"] for row in lanes)


def test_an_unknown_invocation(admin: Admin) -> None:
    (row,) = tree_rows(admin, UNKNOWN)
    assert (row["id"], row["status"]) == (UNKNOWN, "no record")
    assert timeline_rows(admin, UNKNOWN) == cleanup_rows(admin, UNKNOWN) == []
    assert journal_rows(admin, UNKNOWN) == lane_rows(admin, [UNKNOWN]) == []


def test_state_is_decoded_and_in_natural_order(
    admin: Admin, ingress: Ingress, key: str, capsys: Printed
) -> None:
    ingress.call("Box", "put", {"turn:10": "é", "turn:9": {"a": [1]}, "log": "x" * 300}, key=key)
    assert state_rows(admin, "Box", key) == [
        {"key": "log", "value": '"' + "x" * 300 + '"', "bytes": 302},
        {"key": "turn:9", "value": '{"a": [1]}', "bytes": 10},
        {"key": "turn:10", "value": '"é"', "bytes": 8},
    ]
    show_state(admin, "Box", key)
    printed = capsys.readouterr().out
    assert printed.startswith(f"State of Box/{key}\n")
    assert re.search(r"x… \(\+\d+\)", printed)
    show_state(admin, "Box", f"{key}-untouched")
    assert capsys.readouterr().out.endswith("\n(none)\n\n")

    new_state = {"text": "plain", "bytes": [255, 0]}  # neither is JSON
    admin.post("/services/Box/state", {"object_key": f"{key}-raw", "new_state": new_state})
    rows = wait_until(lambda: state_rows(admin, "Box", f"{key}-raw"), what="the state")
    assert [row["value"] for row in rows] == ["0xff00", "plain"]


def test_state_before_and_after(admin: Admin, ingress: Ingress, key: str, capsys: Printed) -> None:
    ingress.call("Box", "put", {"turn:1": "x" * 200, "newest": 1, "same": "é"}, key=key)
    before = state_of(admin, "Box", key)
    ingress.call("Box", "put", {"turn:1": "x" * 200 + "y", "newest": 2, "turn:2": {}}, key=key)
    after = state_of(admin, "Box", key)
    rows = [tuple(row.values()) for row in state_change_rows(before, after)]
    assert rows[:2] == [("~", "newest", "1", "2"), ("=", "same", '"é"', '"é"')]
    assert rows[2][:2] == ("~", "turn:1")
    assert rows[3] == ("+", "turn:2", None, "{}")
    assert [row["mark"] for row in state_change_rows(after, before)] == ["~", "=", "~", "-"]

    show_state_changes(before, after)
    printed = capsys.readouterr().out
    assert printed.startswith(f"State of Box/{key}: + new, - gone, ~ changed, = unchanged\n")
    assert '…xxxxxx" → …xxxxxxy"' in printed  # a long value, from where it parts
    with pytest.raises(WorkbenchError, match=f"two objects: Box/{key} and Box/other"):
        state_change_rows(before, StateSnapshot("Box", "other", {}))


def test_model_requests_that_are_made_at_once_stand_by_name() -> None:
    requests: list[Any] = [
        SimpleNamespace(
            number=number,
            label=f"mine/1/{step}",
            step=step.split()[0],
            status="hung up",
            http_status=200,
            completion_tokens=12,
            started_at=100.0 + number,
            first_token_at=100.05,
            ended_at=None,
        )
        for number, step in enumerate(["plan", "write b", "write a", "review"])
    ]
    assert [each.number for each in in_order(reversed(requests))] == [0, 2, 1, 3]
    model: Any = SimpleNamespace(scripted=True, requests=lambda prefix: requests)
    row = model_request_rows(model, "mine/")[0]
    assert (row["began"], row["first token"], row["ended"]) == (0, 50, None)


def test_whole_seconds_are_in_their_place() -> None:
    """The engine writes them without a fraction, which as text comes after every fraction."""
    times = ["2026-11-22T14:43:38.001Z", "2026-11-22T14:43:38Z", "2026-11-22T14:43:37.999Z"]
    assert sorted(times, key=instant) == times[::-1]
    assert [milliseconds(time, times[1]) for time in times] == [1, 0, -1]


def test_what_is_long_is_cut_and_says_so(capsys: Printed) -> None:
    print_table("Many", [{"n": number, "text": "y" * 200} for number in range(100)])
    printed = capsys.readouterr().out.splitlines()
    assert printed[1] == "(the first 20 of 100 rows are left out)"
    assert max(map(len, printed)) == 100
    assert clipped("a  b\nc", 5) == "a b c"
    text = clipped("x" * 1000, 50)
    assert len(text) <= 50
    assert text == "x" * text.count("x") + f"… (+{1000 - text.count('x')})"
    assert without_middle("Box/a-long-key/put", 14) == "Box/a-…key/put"
    assert without_middle("Box/key/put", 14) == "Box/key/put"
