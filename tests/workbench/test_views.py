"""The rows behind the tables: what they say of real invocations is true.

How the tables look is in the outputs of the lessons, which every check compares.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from workbench import (
    invocation_rows,
    journal_rows,
    lanes,
    show_state,
    state_of,
    state_rows,
    tree_rows,
    wait_until,
)
from workbench.clients import Admin, Ingress
from workbench.ids import clipped, without_middle
from workbench.restate import Restate
from workbench.views.invocation_row import instant
from workbench.views.journal import _event_row
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


def test_lanes_have_the_arrival_of_each_cancel(admin: Admin, cancelled: str) -> None:
    tree = tree_rows(admin, cancelled)
    drawn = lanes(admin, [(row["target"], row["id"]) for row in tree]).splitlines()
    root, middle, leaf, _, sent, delayed = drawn[:6]
    assert root.index("✕") <= middle.index("✕") <= leaf.index("✕")
    assert all(line.count("✕") == 1 and line.endswith(CANCELLED) for line in (root, middle, leaf))
    assert "✕" not in sent + delayed
    assert delayed.endswith("┄▶  scheduled")
    assert drawn[-1].startswith("█ at work · ┄ waits for its turn · ✕ cancelled")
    assert lanes(admin, [("none", UNKNOWN)]) == "none    no record\n\n"


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


@pytest.mark.parametrize("kind", ["TransientError", "Paused"])
def test_a_failure_says_where_and_why(kind: str) -> None:
    failure = {
        "error_code": 500,
        "error_message": "RuntimeError('the provider is down')",
        "related_command_name": "call the model",
        "restate_doc_error_code": "RT0007",
    }
    said = {"last_failure": failure} if kind == "Paused" else failure
    row = _event_row({"event_type": kind, "event_json": json.dumps(said)})
    assert (row["entry"], row["name"]) == (f"! {kind}", "call the model")
    assert row["result"] == "RT0007 · [500] RuntimeError('the provider is down')"
    by_hand = _event_row({"event_type": "Paused", "event_json": "{}"})
    assert (by_hand["name"], by_hand["result"]) == ("", None)


def test_invocations_of_a_tree(admin: Admin, cancelled: str) -> None:
    tree = tree_rows(admin, cancelled)
    rows = invocation_rows(admin, root=cancelled)
    assert [row["id"] for row in rows] == [row["id"] for row in tree]
    sent = [row["id"] for row in tree if row["target"] == "Probe/note"]
    notes = invocation_rows(admin, root=cancelled, ids=sent)
    assert {(row["called by"], row["caller"]) for row in notes} == {("Probe/root", cancelled)}
    assert invocation_rows(admin, ids=[]) == []


def test_an_unknown_invocation(admin: Admin) -> None:
    (row,) = tree_rows(admin, UNKNOWN)
    assert (row["id"], row["status"]) == (UNKNOWN, "no record")
    assert journal_rows(admin, UNKNOWN) == []


def test_state_is_decoded_and_in_natural_order(
    admin: Admin, ingress: Ingress, key: str, capsys: Printed
) -> None:
    ingress.call("Box", "put", {"turn:10": "é", "turn:9": {"a": [1]}, "log": "x" * 300}, key=key)
    assert state_rows(admin, "Box", key) == [
        {"key": "log", "value": '"' + "x" * 300 + '"', "bytes": 302},
        {"key": "turn:9", "value": '{"a": [1]}', "bytes": 10},
        {"key": "turn:10", "value": '"é"', "bytes": 8},
    ]
    assert state_of(admin, "Box", key)["turn:9"] == {"a": [1]}
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


def test_whole_seconds_are_in_their_place() -> None:
    """The engine writes them without a fraction, which as text comes after every fraction."""
    times = ["2026-11-22T14:43:38.001Z", "2026-11-22T14:43:38Z", "2026-11-22T14:43:37.999Z"]
    assert sorted(times, key=instant) == times[::-1]
    since = [instant(time) - instant(times[1]) for time in times]
    assert since == [timedelta(milliseconds=1), timedelta(0), timedelta(milliseconds=-1)]


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
