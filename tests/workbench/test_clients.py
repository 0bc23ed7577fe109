"""The clients of the admin API and the ingress: what they send, print, return and say in errors."""

from __future__ import annotations

import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from workbench import WorkbenchError
from workbench.clients import Admin, AdminError, Ingress, IngressError, WaitTimeout, wait_until
from workbench.ids import short_ids

# Well formed, and of no invocation.
UNKNOWN = "inv_1767Q1fOiUnm1TeB2IqgfgesJgeOzmW6ax"


def typed(lines: list[str]) -> Any:
    """The answer to the last printed command, typed into a shell."""
    shell = subprocess.run(["bash", "-c", f"{lines[-1]} -sS"], capture_output=True, check=True)
    return json.loads(shell.stdout)


def test_query_sends_what_it_prints_and_returns_whole_ids(
    admin: Admin, ingress: Ingress, lines: list[str]
) -> None:
    nap = ingress.send("Probe", "leaf", 0)
    lines.clear()

    rows = admin.query(f"""
        SELECT id, target, scope, 'it''s  -- two
lines' AS text  -- a comment
        FROM sys_invocation
        WHERE id = '{nap}'
    """)

    # scope is NULL, and so not there
    assert rows == [{"id": nap, "target": "Probe/leaf", "text": "it's  -- two\nlines"}]
    sql = (
        "SELECT id, target, scope, 'it''s  -- two\nlines' AS text FROM sys_invocation "
        f"WHERE id = '{nap}'"
    )
    assert lines == [f"POST /query → 200 · {short_ids(sql)}"]
    assert admin.query(sql, echo=False) == rows
    assert len(lines) == 1


def test_curl_is_the_request_to_paste_whatever_the_proxy(
    admin: Admin, ingress: Ingress, lines: list[str], key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with pytest.raises(WorkbenchError, match="No request has been made"):
        admin.curl()
    nap = ingress.call("Box", "put", {"it's": '"é"\n$HOME `x`'}, key=f"{key}/ä '{{1-3}}")
    ingress.curl("put")
    assert typed(lines) == nap

    put = ingress.last_invocation_id
    assert put is not None
    admin.wait_for(put, "completed")  # without a word
    admin.curl()
    assert typed(lines)["rows"][0]["id"] == put
    rows = admin.query(
        f"SELECT id, target FROM sys_invocation WHERE target_service_key LIKE '{key}%'"
    )
    admin.get("/version")
    admin.curl("sys_invocation")
    assert typed(lines) == {"rows": rows}
    admin.curl("/version")
    assert typed(lines)["version"]

    sent = ingress.send("Probe", "leaf", 0, delay=0.1, idempotency_key=key)
    ingress.curl(short_ids("Probe/leaf/send?delay=100ms"))
    assert typed(lines)["invocationId"] == sent
    with pytest.raises(WorkbenchError, match="No request with 'nope' in it"):
        ingress.curl("nope")


def test_a_refusal_has_the_status_and_the_servers_words(admin: Admin, lines: list[str]) -> None:
    with pytest.raises(AdminError, match="answered 404: The requested invocation") as caught:
        admin.kill(UNKNOWN)
    assert caught.value.status_code == 404
    assert caught.value.message == f"The requested invocation '{UNKNOWN}' does not exist"
    assert lines == [f"PATCH /invocations/{short_ids(UNKNOWN)}/kill → 404"]
    answer = admin.patch(f"/invocations/{UNKNOWN}/kill", allow=(404,))
    assert "does not exist" in answer["message"]
    with pytest.raises(AdminError, match="No field named nope"):
        admin.query("SELECT nope FROM sys_invocation")
    deployment = admin.get("/deployments")["deployments"][0]["id"]
    with pytest.raises(AdminError, match="answered 501: Not Implemented"):  # it has no words
        admin.delete(f"/deployments/{deployment}", force=False)
    assert lines[-1] == f"DELETE /deployments/{short_ids(deployment)}?force=false → 501"


def test_wait_for_says_what_it_saw_last(admin: Admin, ingress: Ingress) -> None:
    nap = ingress.send("Probe", "leaf", 60)
    assert admin.wait_for(nap, "running")["completion_result"] is None  # NULL, and there
    with pytest.raises(WaitTimeout, match=r'to be paused.*\nLast row seen: .*"status": "running"'):
        admin.wait_for(nap, "paused", timeout=0.2)
    with pytest.raises(WorkbenchError, match=r"within 0\.2 s; what it began goes on"):
        ingress.attach(nap, timeout=0.2)
    admin.kill(nap)
    with pytest.raises(WorkbenchError, match=r'has completed\.\nLast row seen: .*"completed"'):
        admin.wait_for(nap, "paused", timeout=60)
    with pytest.raises(WaitTimeout, match="the server knows no such invocation"):
        admin.wait_for(UNKNOWN, "paused", timeout=0.05)
    for statuses in ((), ("cancelled",), ("running", "inboxed")):
        with pytest.raises(WorkbenchError, match="sys_invocation knows scheduled, pending,"):
            admin.wait_for(UNKNOWN, *statuses)


@pytest.mark.parametrize(
    ("part", "encoded"),
    [
        ("a/b", "a%2Fb"),
        ("100% ?q#f", "100%25%20%3Fq%23f"),
        ("é🎉", "%C3%A9%F0%9F%8E%89"),
        ("'\"\\", "%27%22%5C"),
        ("..", "%2E%2E"),
        ("a.b", "a.b"),
    ],
)
def test_any_key_reaches_its_object(
    ingress: Ingress, lines: list[str], part: str, encoded: str
) -> None:
    assert ingress.call("Box", "put", {}, key=part) == part
    assert lines == [f"POST /Box/{encoded}/put → 200 · {{}}"]
    ingress.curl()
    assert typed(lines) == part


def test_call_send_and_attach(admin: Admin, ingress: Ingress, lines: list[str], key: str) -> None:
    assert ingress.call("Probe", "leaf", 0) == "leaf"
    assert lines == ["POST /Probe/leaf → 200 · 0"]
    assert ingress.last_invocation_id is not None
    row = admin.wait_for(ingress.last_invocation_id, "completed")
    assert row["target"] == "Probe/leaf"

    lines.clear()
    nap = ingress.send("Probe", "leaf", 0.05, idempotency_key=key)
    assert ingress.attach(nap) == ingress.output(nap) == "leaf"
    assert ingress.call("Probe", "leaf", 60, idempotency_key=key) == "leaf"
    assert ingress.last_invocation_id == nap
    assert lines[0] == f"POST /Probe/leaf/send → 202 · idempotency-key: {key} · 0.05"

    lines.clear()
    note = ingress.send("Probe", "note", "x" * 5000, delay=90.5)
    admin.wait_for(note, "scheduled")
    assert lines[0].startswith('POST /Probe/note/send?delay=90500ms → 202 · "xxx')
    assert len(lines[0]) < 160  # in short
    with pytest.raises(IngressError, match="has not completed yet") as caught:
        ingress.output(note)
    assert caught.value.status_code == 470
    admin.cancel(note)


def test_a_terminal_error_comes_with_its_metadata(ingress: Ingress, lines: list[str]) -> None:
    with pytest.raises(IngressError) as caught:
        ingress.call("Probe", "fail")
    error = caught.value
    assert (error.status_code, error.message) == (422, "no such thing")
    assert error.metadata == {"plan": "half"}
    assert str(error) == "POST /Probe/fail answered 422: no such thing"
    assert lines == ["POST /Probe/fail → 422"]
    with pytest.raises(IngressError, match="the handler 'nope' was not found") as caught:
        ingress.call("Probe", "nope")
    assert (caught.value.status_code, caught.value.metadata) == (404, {})


def test_an_unreachable_server_names_the_fix() -> None:
    nowhere: Any = SimpleNamespace(admin_url="http://127.0.0.1:1", ingress_url="http://127.0.0.1:1")
    with Admin(nowhere) as client, pytest.raises(WorkbenchError) as caught:
        client.get("/health")
    first, second = str(caught.value).splitlines()
    assert first.startswith("Restate's admin API at http://127.0.0.1:1 cannot be reached")
    assert second == "start_restate() starts it."
    with Ingress(nowhere) as caller, pytest.raises(WorkbenchError, match=r"start_restate\(\)"):
        caller.call("Probe", "leaf", 0)


def test_no_connection_is_used_twice() -> None:
    ports: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # it would keep the connection

        def do_GET(self) -> None:
            ports.append(self.client_address[1])
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here: Any = SimpleNamespace(admin_url=f"http://127.0.0.1:{server.server_port}")
        with Admin(here, echo=lambda line: None) as client:
            for _ in range(3):
                assert client.get("/") is None
        server.shutdown()
    assert len(set(ports)) == 3


def test_wait_until() -> None:
    values = iter([None, 0, "", "here"])
    assert wait_until(lambda: next(values), what="a value", every=0.001) == "here"
    assert wait_until(lambda: 7, what="seven", timeout=0) == 7  # it asks once at least
    values = iter([None, "late"])  # and once more when the time is up
    assert wait_until(lambda: next(values), what="a value", timeout=0.01, every=0.05) == "late"
    with pytest.raises(WaitTimeout) as caught:
        wait_until(dict, what="the draft to be gone", timeout=0.05, every=0.01)
    assert str(caught.value).splitlines() == [
        "Waited 0.05 s for the draft to be gone, in vain.",
        "Last value seen: {}",
    ]
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 / 0, what="the impossible")
