from __future__ import annotations

import re

import pytest

from tests.flaky import Flaky
from workbench.clients import Admin, Ingress, wait_until
from workbench.views import show_steps, step_rows


def test_a_cancelled_handler(
    admin: Admin, ingress: Ingress, capsys: pytest.CaptureFixture[str]
) -> None:
    root = ingress.send("Probe", "root", 60)
    wait_until(
        lambda: any(row["step"].startswith("send") for row in step_rows(admin, root)),
        what="the calls and the sends",
    )
    waiting = [row for row in step_rows(admin, root) if row["step"].startswith("call ")]
    assert [(row["waits for"], row["waited"], row["result"]) for row in waiting] == [
        ("the callee", None, None)
    ] * 2

    admin.cancel(root)
    admin.wait_for(root, "completed")
    rows = step_rows(admin, root)
    steps = [re.sub(r"3\d{6} ms", "an hour", row["step"]) for row in rows]
    assert steps == [
        "called with",
        'run "plan"',
        "call Probe/middle",
        "call Probe/leaf",
        "send Probe/note",
        "send Probe/note in an hour",
        "✕ cancelled here",
        "cancel Probe/middle",
        "cancel Probe/leaf",
        "raise",
    ]
    assert rows[0]["result"] == "60"
    assert rows[1]["waits for"] == "the step"
    assert rows[1]["waited"] >= 0
    assert rows[1]["result"] == '{"text": "Grüße 🎉"}'
    assert rows[4]["waits for"] is rows[6]["waits for"] is rows[6]["result"] is None
    assert rows[9]["result"] == "[409] cancelled"

    show_steps(admin, root)
    printed = capsys.readouterr().out
    assert printed.startswith("Steps of Probe/root inv_")
    assert "… for the callee" in printed
    assert max(len(line) for line in printed.splitlines()) <= 100


def test_what_a_callee_answers_stands_with_the_call(admin: Admin, ingress: Ingress) -> None:
    ingress.call("Probe", "middle", 0.02)
    middle = ingress.last_invocation_id
    assert middle
    called, call, end = step_rows(admin, middle)
    assert (called["step"], called["ms"]) == ("called with", 0)
    assert (call["step"], call["result"]) == ("call Probe/leaf", '"leaf"')
    assert call["waited"] >= 20
    assert (end["step"], end["result"]) == ("return", '"leaf"')

    (row,) = admin.query(f"SELECT id FROM sys_invocation WHERE invoked_by_id = '{middle}'")
    sleep = step_rows(admin, row["id"])[1]
    assert re.fullmatch(r'sleep \d+ ms "nap"', sleep["step"])
    assert (sleep["waits for"], sleep["result"]) == ("the clock", None)


def test_failures_stand_where_they_happened(admin: Admin, flaky: Flaky) -> None:
    flaky.mend()
    rows = step_rows(admin, flaky.id)
    assert [(row["index"], row["step"]) for row in rows[2:]] == [
        (3, 'run "call the model"'),
        (None, "! attempt failed in call the model"),
        (None, "! paused in call the model"),
        (5, "return"),
    ]
    assert rows[2]["result"] == '"mended"'
    assert rows[3]["result"] == "RT0007 · [500] RuntimeError('the provider is down')"


def test_state(admin: Admin, ingress: Ingress, key: str) -> None:
    ingress.call("Box", "put", {"turn:1": {"status": "running"}}, key=key)
    assert ingress.last_invocation_id
    rows = step_rows(admin, ingress.last_invocation_id)
    assert [(row["step"], row["result"]) for row in rows[1:]] == [
        ("set turn:1", '{"status": "running"}'),
        ("return", f'"{key}"'),
    ]


def test_no_journal(admin: Admin) -> None:
    assert step_rows(admin, "inv_1767Q1fOiUnm1TeB2IqgfgesJgeOzmW6ax") == []
