from __future__ import annotations

from typing import Any

import pytest

from tests.flaky import Flaky
from workbench.clients import Admin, Ingress
from workbench.views import lifecycle_rows, show_lifecycle
from workbench.views.lifecycle.show import picture_of_lifecycle

PNG = b"\x89PNG\r\n"
CANCELLED = "completed · failure · [409] cancelled"


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


def test_resumed_by_hand_shows_in_what_the_handler_did_next(admin: Admin, flaky: Flaky) -> None:
    flaky.mend()
    rows = lifecycle_rows(admin, flaky.id)
    assert _statuses(rows)[2:] == ["paused", "running", "completed · success"]
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


def test_scheduled(admin: Admin, ingress: Ingress) -> None:
    root = ingress.send("Probe", "root", 0)
    admin.wait_for(root, "completed")
    (later,) = admin.query(
        "SELECT id FROM sys_invocation WHERE target = 'Probe/note' AND status = 'scheduled' "
        f"AND invoked_by_id = '{root}'"
    )
    assert _statuses(lifecycle_rows(admin, later["id"])) == ["scheduled"]
    assert _statuses(lifecycle_rows(admin, root)) == ["running", "completed · success"]
    admin.kill(later["id"])


def test_only_a_suspension_that_lasts_is_known(admin: Admin, ingress: Ingress) -> None:
    doze = ingress.send("Probe", "doze", 60)
    admin.wait_for(doze, "suspended")
    running, suspended = lifecycle_rows(admin, doze)
    assert (running["status"], suspended["status"]) == ("running", "suspended")
    assert suspended["exact"] is False
    assert suspended["ms"] >= 50
    admin.cancel(doze)
    admin.wait_for(doze, "completed")
    assert _statuses(lifecycle_rows(admin, doze)) == ["running", CANCELLED]


def test_no_record(admin: Admin, capsys: pytest.CaptureFixture[str]) -> None:
    unknown = "inv_1767Q1fOiUnm1TeB2IqgfgesJgeOzmW6ax"
    assert lifecycle_rows(admin, unknown) == []
    show_lifecycle(admin, unknown)
    assert "Restate has no record of inv_1767Q…W6ax." in capsys.readouterr().out


def _row(status: str, ms: int | None, exact: bool = True) -> dict[str, Any]:
    return {"status": status, "ms": ms, "exact": exact, "why": "for a reason " * 10}


def test_every_way_can_be_drawn() -> None:
    ways = [
        ["scheduled", "pending", "running", "suspended", "running", "completed · success"],
        ["running", "backing-off", "running", "backing-off", "paused", "running"] * 3,
        ["scheduled", "running", "paused", "ready", "running", CANCELLED],
        ["pending", "running", "paused", "completed · failure · [409] killed"],
        ["completed · failure · [422] no such thing"],
    ]
    for way in ways:
        rows = [_row(status, 1000 * n, n % 2 == 0) for n, status in enumerate(way)]
        picture = picture_of_lifecycle(rows, "Probe/root inv_1767Q1fOiUnm1TeB2IqgfgesJgeOzmW6ax")
        assert picture.png.startswith(PNG)


def test_the_text_and_the_caption_say_the_way() -> None:
    rows = [
        _row("running", 0),
        _row("paused", 40),
        _row("running", 700, exact=False),
        _row("paused", 720),
        _row("running", None, exact=False),
    ]
    picture = picture_of_lifecycle(rows, "Box/mine/hold inv_1767Q1fOiUnm1TeB2IqgfgesJgeOzmW6ax")
    lines = picture.text.splitlines()
    assert lines[1] == "running → paused → running → paused → running"
    assert lines[5].startswith(" 3  ≤ 700 ms  running: for a reason")
    assert lines[7].startswith(" 5      ? ms  running: for a reason")
    assert picture.caption == (
        "hold has gone through 5 statuses and is running. It was paused twice (from 40 ms and 720 "
        "ms). Suspensions that are over leave no trace and are not shown."
    )
