from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from workbench.admin import Admin, AdminError
from workbench.ingress import Ingress
from workbench.restate import Restate
from workbench.short import short_ids
from workbench.state_dir import WorkbenchError
from workbench.waiting import WaitTimeout, wait_until

# Well formed, and of no invocation.
UNKNOWN = "inv_1767Q1fOiUnm1TeB2IqgfgesJgeOzmW6ax"


def test_each_call_prints_its_request_with_the_id_shortened(
    admin: Admin, ingress: Ingress, lines: list[str]
) -> None:
    nap = ingress.send("Probe", "leaf", 60)
    admin.wait_for(nap, "running")
    lines.clear()

    admin.cancel(nap)
    admin.wait_for(nap, "completed")

    assert lines == [f"PATCH /invocations/{short_ids(nap)}/cancel → 202"]
    assert re.fullmatch(r"inv_\w{5}…\w{4}", short_ids(nap))


def test_query_prints_its_sql_in_one_line_and_returns_whole_ids(
    admin: Admin, ingress: Ingress, lines: list[str]
) -> None:
    nap = ingress.send("Probe", "leaf", 0)
    lines.clear()

    rows = admin.query(f"""
        SELECT id, target, scope
        FROM sys_invocation
        WHERE id = '{nap}'
    """)

    assert rows == [{"id": nap, "target": "Probe/leaf"}]  # scope is NULL, and so not there
    assert lines == [
        "POST /query → 200 · SELECT id, target, scope FROM sys_invocation "
        f"WHERE id = '{short_ids(nap)}'"
    ]
    admin.query("SELECT 1 AS one", echo=False)
    assert len(lines) == 1


def test_a_refusal_has_the_status_and_the_servers_words(admin: Admin, lines: list[str]) -> None:
    with pytest.raises(AdminError, match="answered 404: The requested invocation") as caught:
        admin.kill(UNKNOWN)
    assert caught.value.status_code == 404
    assert caught.value.message == f"The requested invocation '{UNKNOWN}' does not exist"
    assert lines == [f"PATCH /invocations/{short_ids(UNKNOWN)}/kill → 404"]


def test_a_refusal_that_is_allowed_is_an_answer(admin: Admin) -> None:
    answer = admin.patch(f"/invocations/{UNKNOWN}/kill", allow=(404,))
    assert "does not exist" in answer["message"]


def test_a_refusal_without_words_is_named_by_its_status(admin: Admin, lines: list[str]) -> None:
    deployment = admin.get("/deployments")["deployments"][0]["id"]
    with pytest.raises(AdminError, match="answered 501: Not Implemented"):
        admin.delete(f"/deployments/{deployment}", force=False)
    assert lines[-1] == f"DELETE /deployments/{short_ids(deployment)}?force=false → 501"


def test_bad_sql_is_an_error_in_the_servers_words(admin: Admin) -> None:
    with pytest.raises(AdminError, match="No field named nope"):
        admin.query("SELECT nope FROM sys_invocation")


def test_registering_a_known_uri_changes_something_only_with_force(
    admin: Admin, lines: list[str]
) -> None:
    known = admin.get("/deployments")["deployments"][0]
    before = _revision(known)

    again = admin.register(known["uri"])
    assert (again["id"], _revision(again)) == (known["id"], before)
    assert lines[-1] == f'POST /deployments → 200 · {{"uri": "{known["uri"]}", "force": false}}'

    forced = admin.register(known["uri"], force=True)
    assert (forced["id"], _revision(forced)) == (known["id"], before + 1)


def _revision(deployment: dict[str, Any]) -> int:
    revisions = {service["name"]: service["revision"] for service in deployment["services"]}
    return int(revisions["Probe"])


def test_pause_and_resume(admin: Admin, ingress: Ingress) -> None:
    nap = ingress.send("Probe", "leaf", 60)
    admin.wait_for(nap, "running")

    admin.pause(nap)
    row = admin.wait_for(nap, "paused")
    assert row["completion_result"] is None  # NULL, and there all the same

    admin.resume(nap, deployment="latest")
    admin.wait_for(nap, "running")
    admin.kill(nap)


def test_kill_then_purge(admin: Admin, ingress: Ingress) -> None:
    nap = ingress.send("Probe", "leaf", 60)
    admin.wait_for(nap, "running")

    admin.kill(nap)
    assert admin.wait_for(nap, "completed")["completion_failure"] == "[409] killed"

    admin.purge(nap)
    wait_until(
        lambda: not admin.query(f"SELECT id FROM sys_invocation WHERE id = '{nap}'", echo=False),
        what="the record to be gone",
    )


def test_restart_as_new(admin: Admin, ingress: Ingress, lines: list[str]) -> None:
    assert ingress.call("Probe", "leaf", 0) == "leaf"
    first = ingress.last_invocation_id
    assert first is not None

    second = admin.restart_as_new(first, from_index=1)

    assert lines[-1] == f"PATCH /invocations/{short_ids(first)}/restart-as-new?from=1 → 200"
    assert admin.wait_for(second, "completed")["restarted_from"] == first


def test_state_is_changed_by_a_plain_request(admin: Admin, key: str) -> None:
    admin.post("/services/Box/state", {"object_key": key, "new_state": {"note": '"mended"'}})

    def _note() -> list[dict[str, Any]]:
        sql = f"SELECT value_utf8 FROM state WHERE service_key = '{key}'"
        return admin.query(sql, echo=False)

    assert wait_until(_note, what="the new state") == [{"value_utf8": '"mended"'}]


def test_wait_for_gives_up_at_once_on_what_is_over(admin: Admin, ingress: Ingress) -> None:
    ingress.call("Probe", "leaf", 0)
    assert ingress.last_invocation_id is not None
    with pytest.raises(WorkbenchError, match=r'has completed\.\nRow: .*"status": "completed"'):
        admin.wait_for(ingress.last_invocation_id, "paused", timeout=60)


def test_wait_for_says_what_it_saw_last(admin: Admin, ingress: Ingress) -> None:
    nap = ingress.send("Probe", "leaf", 60)
    admin.wait_for(nap, "running")
    with pytest.raises(WaitTimeout, match=r'to be paused.*\nLast row seen: .*"status": "running"'):
        admin.wait_for(nap, "paused", timeout=0.2)
    admin.kill(nap)
    with pytest.raises(WaitTimeout, match="the server knows no such invocation"):
        admin.wait_for(UNKNOWN, "paused", timeout=0.05)


@pytest.mark.parametrize("statuses", [(), ("cancelled",), ("running", "inboxed")])
def test_wait_for_refuses_a_status_that_there_is_not(
    admin: Admin, statuses: tuple[str, ...]
) -> None:
    with pytest.raises(WorkbenchError, match="sys_invocation knows scheduled, pending,"):
        admin.wait_for(UNKNOWN, *statuses)


def test_an_unreachable_server_names_the_fix() -> None:
    nowhere: Any = SimpleNamespace(admin_url="http://127.0.0.1:1")
    with Admin(nowhere) as client, pytest.raises(WorkbenchError) as caught:
        client.get("/health")
    first, second = str(caught.value).splitlines()
    assert first.startswith("Restate's admin API at http://127.0.0.1:1 cannot be reached")
    assert second == "start_restate() starts it."


def test_a_proxy_of_the_environment_is_not_for_this_machine(
    restate: Restate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with Admin(restate, echo=lambda line: None) as client:
        assert client.get("/version")["version"] == restate.version
