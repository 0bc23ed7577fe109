from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from workbench.admin import Admin
from workbench.ingress import Ingress, IngressError
from workbench.state_dir import WorkbenchError


def test_a_call_returns_the_result_and_keeps_the_id(
    admin: Admin, ingress: Ingress, lines: list[str]
) -> None:
    assert ingress.call("Probe", "leaf", 0) == "leaf"
    assert lines == ["POST /Probe/leaf → 200 · 0"]
    assert ingress.last_invocation_id is not None
    row = admin.wait_for(ingress.last_invocation_id, "completed")
    assert row["target"] == "Probe/leaf"


@pytest.mark.parametrize(
    ("part", "encoded"),
    [
        ("a/b", "a%2Fb"),
        ("a b", "a%20b"),
        ("100%", "100%25"),
        ("?q#f", "%3Fq%23f"),
        ("é🎉", "%C3%A9%F0%9F%8E%89"),
        ("'\"\\", "%27%22%5C"),
        (".", "%2E"),
        ("..", "%2E%2E"),
        ("a.b", "a.b"),
    ],
)
def test_any_key_reaches_its_object(
    ingress: Ingress, lines: list[str], part: str, encoded: str
) -> None:
    assert ingress.call("Box", "put", {}, key=part) == part
    assert lines == [f"POST /Box/{encoded}/put → 200 · {{}}"]


def test_send_then_attach(ingress: Ingress, lines: list[str]) -> None:
    nap = ingress.send("Probe", "leaf", 0.05)
    assert nap == ingress.last_invocation_id
    assert ingress.attach(nap) == "leaf"
    assert ingress.output(nap) == "leaf"
    assert [line.split(" → ")[1] for line in lines] == ["202 · 0.05", "200", "200"]


def test_a_delayed_send_is_scheduled(admin: Admin, ingress: Ingress, lines: list[str]) -> None:
    note = ingress.send("Probe", "note", "later", delay=90.5)
    admin.wait_for(note, "scheduled")
    assert lines == ['POST /Probe/note/send?delay=90500ms → 202 · "later"']
    admin.cancel(note)


def test_output_of_what_is_not_over(admin: Admin, ingress: Ingress) -> None:
    nap = ingress.send("Probe", "leaf", 60)
    with pytest.raises(IngressError, match="has not completed yet") as caught:
        ingress.output(nap)
    assert caught.value.status_code == 470
    admin.kill(nap)


def test_an_idempotency_key_is_sent_and_printed(
    ingress: Ingress, lines: list[str], key: str
) -> None:
    first = ingress.send("Probe", "leaf", 0, idempotency_key=key)
    assert ingress.call("Probe", "leaf", 60, idempotency_key=key) == "leaf"
    assert ingress.last_invocation_id == first
    assert lines[0] == f"POST /Probe/leaf/send → 202 · idempotency-key: {key} · 0"


def test_a_terminal_error_comes_with_its_metadata(ingress: Ingress, lines: list[str]) -> None:
    with pytest.raises(IngressError) as caught:
        ingress.call("Probe", "fail")
    error = caught.value
    assert (error.status_code, error.message, error.metadata) == (
        422,
        "no such thing",
        {"plan": "half"},
    )
    assert str(error) == "POST /Probe/fail answered 422: no such thing"
    assert lines == ["POST /Probe/fail → 422"]


def test_an_unknown_handler_is_refused(ingress: Ingress) -> None:
    with pytest.raises(IngressError, match="the handler 'nope' was not found") as caught:
        ingress.call("Probe", "nope")
    assert (caught.value.status_code, caught.value.metadata) == (404, {})


def test_a_long_body_is_printed_in_short(ingress: Ingress, lines: list[str], key: str) -> None:
    ingress.call("Box", "put", {"text": "x" * 5000}, key=key)
    assert len(lines[0]) < 160
    assert lines[0].endswith(")")


def test_a_call_that_lasts_longer_than_its_timeout_goes_on(admin: Admin, ingress: Ingress) -> None:
    nap = ingress.send("Probe", "leaf", 60)
    with pytest.raises(WorkbenchError, match=r"within 0\.2 s; what it began goes on"):
        ingress.attach(nap, timeout=0.2)
    assert admin.wait_for(nap, "running")["id"] == nap
    admin.kill(nap)


def test_an_unreachable_ingress_names_the_fix() -> None:
    nowhere: Any = SimpleNamespace(ingress_url="http://127.0.0.1:1")
    with Ingress(nowhere) as client, pytest.raises(WorkbenchError, match=r"start_restate\(\)"):
        client.call("Probe", "leaf", 0)
