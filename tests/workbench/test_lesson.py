"""What ids are called in a notebook and outside, keys of a lesson, and links to the Restate UI."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from workbench import clients, ids, lesson, new_key, show_source, show_ui
from workbench.clients import Admin, Ingress
from workbench.ids import IdLabels, short_ids
from workbench.restate import Restate
from workbench.views import invocation_row

ID = "inv_16GZZaaaaaaaaaaaaaaaaaaaaaaaaonZX"


def _new_id() -> str:
    return f"inv_1{uuid.uuid4().hex}"


@pytest.fixture
def labels(monkeypatch: pytest.MonkeyPatch) -> IdLabels:
    """The labels of a notebook that has shown nothing so far."""
    monkeypatch.setattr(ids, "get_ipython", object)
    fresh = IdLabels()
    for module in (ids, clients, invocation_row):
        monkeypatch.setattr(module, "labels", fresh)
    return fresh


def test_outside_a_notebook_ids_keep_their_ends() -> None:
    ids.labels.note(ID, "Box/mine/put")
    assert short_ids(f"of {ID}.") == "of inv_16GZZ…onZX."


def test_a_label_says_the_handler_and_is_numbered_as_it_is_shown(labels: IdLabels) -> None:
    first, second, other = _new_id(), _new_id(), _new_id()
    assert short_ids(ID) == "inv_16GZZ…onZX"  # it has no name
    labels.note(first, "Box/mine/put")
    labels.note(second, "put")
    labels.note(other, "Box/mine/get")
    shown = short_ids(f"{second}, {other}, {first}, {second}")
    assert shown == "inv_…put-1, inv_…get-1, inv_…put-2, inv_…put-1"


def test_a_name_is_looked_up(labels: IdLabels) -> None:
    sources: list[dict[str, str]] = [{}, {"inv_older": "Box/a/put"}, {}]
    for source in sources:
        labels.add_source(source.get)
    assert labels.label("inv_older") == "inv_…put-1"
    labels.remove_source(sources[1].get)
    sources[1]["inv_newer"] = "Box/a/put"
    assert labels.label("inv_newer") is None


def test_requests_print_labels_and_curl_has_the_ids(
    labels: IdLabels, admin: Admin, ingress: Ingress, lines: list[str], key: str
) -> None:
    labels.add_source(admin._name_of)
    sent = ingress.send("Box", "put", {"a": 1}, key=key)
    ingress.attach(sent)
    ingress.call("Box", "put", {"a": 2}, key=key)
    called = ingress.last_invocation_id
    assert called is not None
    admin.query(f"SELECT 1 FROM sys_invocation WHERE id = '{called}'")
    assert lines[1] == "GET /restate/invocation/inv_…put-1/attach → 200"
    assert lines[-1].endswith("WHERE id = 'inv_…put-2'")
    admin.curl("inv_…put-2")
    assert called in lines[-1]


def test_counted_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_KEYS", "counted")
    prefix = f"p-{uuid.uuid4().hex}"
    keys = [new_key(prefix), new_key(prefix), new_key(f"{prefix}-x")]
    assert keys == [f"{prefix}-1", f"{prefix}-2", f"{prefix}-x-1"]
    monkeypatch.delenv("WORKBENCH_KEYS")
    assert new_key(prefix) not in {f"{prefix}-{number}" for number in range(10)}


def test_outside_a_notebook_the_text_is_printed(
    restate: Restate, capsys: pytest.CaptureFixture[str]
) -> None:
    show_ui(restate, ID, frame=True)
    show_ui(restate)
    show_source(_new_id)
    url = f"{restate.ui_url}/invocations/{ID}"
    assert capsys.readouterr().out == (
        f'{url}\n{restate.ui_url}\ndef _new_id() -> str:\n    return f"inv_1{{uuid.uuid4().hex}}"\n'
    )


def test_the_server_serves_the_page_and_lets_it_be_framed(restate: Restate) -> None:
    answer = httpx.get(f"{restate.ui_url}/invocations/{ID}", trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert not {"x-frame-options", "content-security-policy"} & set(answer.headers)


def test_a_frame_is_for_a_person_at_a_front_end(
    restate: Restate, monkeypatch: pytest.MonkeyPatch
) -> None:
    displayed: list[dict[str, Any]] = []
    monkeypatch.setattr(lesson, "get_ipython", object)
    monkeypatch.setattr(lesson, "display", displayed.append)
    for interactive in (True, False):
        monkeypatch.setattr(lesson, "is_interactive", lambda answer=interactive: answer)
        show_ui(restate, ID, frame=True)
    url = f"{restate.ui_url}/invocations/{ID}"
    for data in displayed:
        assert data["text/plain"] == url
        assert f'href="{url}"' in data["text/html"]
        assert "Restate UI: inv_16GZZ…onZX</a>" in data["text/html"]
    assert ["<iframe" in data["text/html"] for data in displayed] == [True, False]
