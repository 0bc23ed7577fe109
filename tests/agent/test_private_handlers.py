"""Handlers that only services may call: the ingress refuses them, whatever the way and the body."""

from typing import Any

import httpx
import pytest

from tests.stack import Stack

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
