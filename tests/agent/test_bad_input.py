"""Input that does not fit: a 4xx that names the fault, and no state changed."""

from typing import Any

import pytest

from tests.stack import Stack
from workbench.ingress import IngressError

TASK = {"session": "s", "turn": 1, "waits_for": []}
FILE = {"session": "s", "turn": 1, "request": "r", "plan": "p", "path": "a.py"}
USAGE = {"turn": 1, "step": "s", "prompt_tokens": 1, "completion_tokens": 1, "finished": True}

BAD: list[tuple[str, str, Any, str]] = [
    ("CodingAgent", "message", {"content": ""}, "content: String should have at least 1 character"),
    (
        "CodingAgent",
        "message",
        {"content": "x" * 32_001},
        "content: String should have at most 32000",
    ),
    ("CodingAgent", "message", {"content": 5}, "content: Input should be a valid string"),
    ("CodingAgent", "message", {}, "content: Field required"),
    ("CodingAgent", "message", {"content": "x", "to": "y"}, "to: Extra inputs are not permitted"),
    ("CodingAgent", "message", [], "the body: Input should be an object"),
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
        TASK | {"waits_for": ["x"]},
        "waits_for.0: String should match pattern",
    ),
    ("CodingTask", "write_file", FILE | {"path": "../x"}, "path: String should match pattern"),
    ("CodingTask", "write_file", FILE | {"path": "/etc/x"}, "path: String should match pattern"),
    ("Workspace", "begin", {"turn": -1}, "turn: Input should be greater than or equal to 1"),
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


RAW = [
    ("message", b'{"content": "x"', "application/json", 400, "Invalid JSON"),
    ("message", b"\xff\xfe", "application/json", 400, "Invalid JSON"),
    ("message", b"null", "application/json", 400, "Input should be an object"),
    ("message", b"", "application/json", 400, "Empty body not allowed"),
    ("message", b"content=x", "application/x-www-form-urlencoded", 400, "does not match"),
    ("get_turns", b"{}", "application/json", 400, "Expected body and content-type to be empty"),
    ("shout", b"{}", "application/json", 404, "handler 'shout' was not found"),
]


@pytest.mark.parametrize(("handler", "body", "content_type", "status", "fault"), RAW)
def test_a_body_that_is_no_json(
    stack: Stack, handler: str, body: bytes, content_type: str, status: int, fault: str
) -> None:
    import httpx

    key = stack.session().key
    response = httpx.post(
        f"{stack.restate.ingress_url}/CodingAgent/{key}/{handler}",
        content=body,
        headers={"content-type": content_type},
    )
    assert response.status_code == status
    assert fault in response.json()["message"]
    assert not stack.count("state", f"service_key = '{key}'")


@pytest.mark.parametrize("handler", ["write_file", "commit"])
def test_a_turn_without_a_draft_is_refused(stack: Stack, handler: str) -> None:
    key = stack.session().key
    body = {"turn": 1} | ({"path": "a.py", "content": ""} if handler == "write_file" else {})
    with pytest.raises(IngressError) as refused:
        stack.ingress.call("Workspace", handler, body, key=key)
    assert (refused.value.status_code, refused.value.message) == (409, "Turn 1 has no draft.")
