"""Input that does not fit: a 4xx that names the fault, and no state changed."""

from typing import Any

import httpx
import pytest

from tests.stack import Stack
from workbench.clients import IngressError

TASK = {"session": "s", "turn": 1}
FILE = {"session": "s", "turn": 1, "request": "r", "plan": "p", "path": "a.py"}
USAGE = {"turn": 1, "step": "s", "prompt_tokens": 1, "completion_tokens": 1, "finished": True}

BAD: list[tuple[str, str, Any, str]] = [
    ("CodingAgent", "message", {"content": ""}, "content: String should have at least 1 character"),
    ("CodingAgent", "message", {"content": 5}, "content: Input should be a valid string"),
    ("CodingAgent", "message", {}, "content: Field required"),
    ("CodingAgent", "message", {"content": "x", "to": "y"}, "to: Extra inputs are not permitted"),
    ("CodingAgent", "message", [], "the body: Input should be an object"),
    (
        "CodingAgent",
        "message",
        {"content": "x", "when_busy": "steer"},
        "when_busy 'steer' needs 'expected_task_id'",
    ),
    (
        "CodingAgent",
        "message",
        {"content": "x", "expected_task_id": "inv_1"},
        "goes with when_busy 'steer' only",
    ),
    ("CodingAgent", "message", "hello", "the body: Input should be an object"),
    (
        "CodingTask",
        "run_task",
        TASK | {"turn": 0},
        "turn: Input should be greater than or equal to 1",
    ),
    ("CodingTask", "run_task", TASK | {"turn": "1"}, "turn: Input should be a valid integer"),
    (
        "CodingTask",
        "run_task",
        TASK | {"behind": [{"turn": 1, "task_id": "x"}]},
        "behind.0.task_id: String should match pattern",
    ),
    ("CodingTask", "write_file", FILE | {"path": "../x"}, "'.' or '..' part"),
    ("CodingTask", "write_file", FILE | {"path": "/etc/x"}, "path is not relative"),
    ("Workspace", "commit", {"turn": -1}, "turn: Input should be greater than or equal to 1"),
    ("Workspace", "write_file", {"turn": 1, "path": "a"}, "content: Field required"),
    ("Workspace", "commit", {"turn": None}, "turn: Input should be a valid integer"),
    ("Workspace", "rollback", {"turn": 1.5}, "turn: Input should be a valid integer"),
    (
        "UsageMeter",
        "record",
        USAGE | {"prompt_tokens": -1},
        "prompt_tokens: Input should be greater",
    ),
]


@pytest.mark.parametrize(
    ("service", "handler", "body", "fault"),
    BAD,
    ids=[f"{service}-{handler}-{number}" for number, (service, handler, *_) in enumerate(BAD)],
)
def test_a_body_that_does_not_fit(
    stack: Stack, service: str, handler: str, body: Any, fault: str
) -> None:
    key = None if service == "CodingTask" else stack.session().key
    with pytest.raises(IngressError) as refused:
        stack.ingress.call(service, handler, body, key=key)
    assert refused.value.status_code == 400
    assert fault in refused.value.message
    if key:
        assert not stack.count("state", f"service_key = '{key}'")


JSON = "application/json"
MANY = b'{"content": "x", "when_busy": "steer", "expected_task_id": "inv_%s"}' % (b"1" * 2**20)
RAW = [
    ("message", b'{"content": "x"', JSON, 400, "Invalid JSON"),
    ("message", b'{"content": "a\x00b"}', JSON, 400, "Invalid JSON: control character"),
    ("message", rb'{"content": "\ud800"}', JSON, 400, "Invalid JSON: unexpected end of hex"),
    ("message", b'\xef\xbb\xbf{"content": "x"}', JSON, 400, "Invalid JSON: expected value"),
    ("message", b'{"content": "%s"}' % (b"x" * 20 * 2**20), JSON, 400, "at most 32000"),
    ("message", b'{"content": %s}' % (b"[" * 100_000), JSON, 400, "recursion limit exceeded"),
    ("message", b'{"content": %s}' % (b"9" * 5_000), JSON, 400, "number out of range"),
    ("message", MANY, JSON, 400, "expected_task_id: String should match pattern"),
    ("message", b"null", JSON, 400, "Input should be an object"),
    ("message", b"", JSON, 400, "Empty body not allowed"),
    ("message", b"content=x", "application/x-www-form-urlencoded", 400, "does not match"),
    ("get_turns", b"{}", JSON, 400, "Expected body and content-type to be empty"),
    ("shout", b"{}", JSON, 404, "handler 'shout' was not found"),
]


@pytest.mark.parametrize(
    ("handler", "body", "content_type", "status", "fault"), RAW, ids=map(str, range(len(RAW)))
)
def test_a_body_that_is_no_json(
    stack: Stack, handler: str, body: bytes, content_type: str, status: int, fault: str
) -> None:
    key = stack.session().key
    response = httpx.post(
        f"{stack.restate.ingress_url}/CodingAgent/{key}/{handler}",
        content=body,
        headers={"content-type": content_type},
    )
    assert response.status_code == status
    assert fault in response.json()["message"]
    assert len(response.text) < 300  # it does not give back what came
    assert not stack.count("state", f"service_key = '{key}'")


# Handlers that only services may call: the ingress refuses them, whatever the way and the body.

WAYS = ["/{path}", "/{path}/send", "/restate/call/{path}", "/restate/send/{path}"]


def private_handlers(stack: Stack) -> list[tuple[str, str, bool]]:
    """Service, handler and whether it takes a key, of each handler that is not public."""
    return [
        (service["name"], handler["name"], service["ty"] == "VirtualObject")
        for service in stack.admin.get("/services")["services"]
        for handler in service["handlers"]
        if not handler["public"]
    ]


@pytest.mark.parametrize("body", [None, {}, {"turn": 1, "task_id": "inv_1", "last": True}])
@pytest.mark.parametrize("way", WAYS)
def test_the_ingress_refuses_them(stack: Stack, way: str, body: Any) -> None:
    found = private_handlers(stack)
    assert ("CodingAgent", "task_finished", True) in found
    key = stack.session().key
    for service, handler, keyed in found:
        path = way.format(path=f"{service}/{key}/{handler}" if keyed else f"{service}/{handler}")
        answer = httpx.post(f"{stack.restate.ingress_url}{path}", json=body, timeout=10)
        refusal = {"code": 400, "message": "the invoked service is not public", "source": "ingress"}
        assert (answer.status_code, answer.json()) == (400, refusal), path
    assert not stack.count("sys_invocation", f"target_service_key = '{key}'")
    assert not stack.count("state", f"service_key = '{key}'")


def test_no_document_offers_them(stack: Stack) -> None:
    for service, handler, _ in private_handlers(stack):
        document = stack.admin.get(f"/services/{service}/openapi")
        assert document["paths"]
        assert handler not in {part for path in document["paths"] for part in path.split("/")}
