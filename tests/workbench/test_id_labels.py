"""What ids are called in a notebook, and outside."""

from __future__ import annotations

import uuid

import pytest

from workbench import id_labels, new_key, short, views
from workbench.admin import Admin
from workbench.id_labels import IdLabels
from workbench.ingress import Ingress
from workbench.short import short_ids


def _new_id() -> str:
    return f"inv_1{uuid.uuid4().hex}"


@pytest.fixture
def labels(monkeypatch: pytest.MonkeyPatch) -> IdLabels:
    """The labels of a notebook that has shown nothing so far."""
    monkeypatch.setattr(short, "get_ipython", object)
    fresh = IdLabels()
    for module in ("workbench.short", "workbench.ingress", "workbench.admin"):
        monkeypatch.setattr(f"{module}.labels", fresh)
    monkeypatch.setattr(views.invocation_row, "labels", fresh)
    return fresh


def test_outside_a_notebook_ids_keep_their_ends() -> None:
    id = "inv_16GZZaaaaaaaaaaaaaaaaaaaaaaaaonZX"
    id_labels.labels.note(id, "Box/mine/put")
    assert short_ids(f"of {id}.") == "of inv_16GZZ…onZX."


def test_a_label_says_the_handler_and_is_numbered_as_it_is_shown(labels: IdLabels) -> None:
    first, second, other = _new_id(), _new_id(), _new_id()
    labels.note(first, "Box/mine/put")
    labels.note(second, "put")
    labels.note(other, "Box/mine/get")
    shown = short_ids(f"{second}, {other}, {first}, {second}")
    assert shown == "inv_…put-1, inv_…get-1, inv_…put-2, inv_…put-1"


def test_what_has_no_name_keeps_its_ends(labels: IdLabels) -> None:
    id = "inv_16GZZaaaaaaaaaaaaaaaaaaaaaaaaonZX"
    assert short_ids(id) == "inv_16GZZ…onZX"
    labels.note(id, "Box/mine/put")
    assert short_ids(id) == "inv_…put-1"


def test_a_name_is_looked_up(labels: IdLabels) -> None:
    sources: list[dict[str, str]] = [{}, {"inv_older": "Box/a/put"}, {}]
    for source in sources:
        labels.ask(source.get)
    assert labels.label("inv_older") == "inv_…put-1"
    labels.ask_no_more(sources[1].get)
    sources[1]["inv_newer"] = "Box/a/put"
    assert labels.label("inv_newer") is None


def test_requests_print_labels(
    labels: IdLabels, admin: Admin, ingress: Ingress, lines: list[str], key: str
) -> None:
    labels.ask(admin._name_of)
    sent = ingress.send("Box", "put", {"a": 1}, key=key)
    ingress.attach(sent)
    ingress.call("Box", "put", {"a": 2}, key=key)
    called = ingress.last_invocation_id
    assert called is not None
    admin.query(f"SELECT 1 FROM sys_invocation WHERE id = '{called}'")
    assert lines[1] == "GET /restate/invocation/inv_…put-1/attach → 200"
    assert lines[-1].endswith("WHERE id = 'inv_…put-2'")


def test_counted_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_KEYS", "counted")
    prefix = f"p-{uuid.uuid4().hex}"
    keys = [new_key(prefix), new_key(prefix), new_key(f"{prefix}-x")]
    assert keys == [f"{prefix}-1", f"{prefix}-2", f"{prefix}-x-1"]
    monkeypatch.delenv("WORKBENCH_KEYS")
    assert new_key(prefix) not in {f"{prefix}-{number}" for number in range(10)}
