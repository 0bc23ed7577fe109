"""Whatever a client may send to the ingress, made from the OpenAPI documents that Restate itself
gives out of the services: the answer is never a 5xx nor of another shape than the document says,
what fits is taken, what does not is refused, and no object is left in a state that it cannot read.

`FUZZ_EXAMPLES=100` makes that many requests of each handler, other ones each time; without it they
are few and the same each time.
"""

import os
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.stack import Stack
from workbench import wait_until

_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
_SETTINGS = settings(
    max_examples=_EXAMPLES or 4,
    derandomize=not _EXAMPLES,
    database=None,
    deadline=None,
    phases=[Phase.generate],  # a failure is shown as it was met, with the curl that repeats it
    suppress_health_check=list(HealthCheck),
)

# What fits is sent to these few, so that requests meet; what does not, to any key.
_RUN = uuid.uuid4().hex[:8]
_SESSIONS = [f"fuzz {_RUN}", f"fuzz/{_RUN}/☃", f"fuzz%2F{_RUN}", f"\"{_RUN}'\\", f"..{_RUN}?#"]

_FEW: dict[str, list[Any]] = {
    "session": _SESSIONS,
    "turn": [1, 2, 3, 2**31 - 1],
    "path": ["a.py", "b/c.py"],  # which paths are taken a schema cannot say
    "paths": [None, [], ["a.py"]],
}

_SHAPES = [status_code_conformance, content_type_conformance, response_schema_conformance]

_FITS = {
    GenerationMode.POSITIVE: positive_data_acceptance,
    GenerationMode.NEGATIVE: negative_data_rejection,
}

_READERS = [
    ("CodingAgent", "get_turns"),
    ("CodingAgent", "get_history"),
    ("UsageMeter", "get_usage"),
    ("Workspace", "read_files"),
]


@pytest.fixture
def client() -> Iterator[requests.Session]:
    with requests.Session() as client:
        client.trust_env = False  # no proxy between this test and this machine's server
        yield client


def _document(stack: Stack, service: str, mode: GenerationMode) -> dict[str, Any]:
    """The service's OpenAPI document, made as exact as the server is where it is less so."""
    document: dict[str, Any] = stack.admin.get(f"/services/{service}/openapi")
    document["paths"] = {
        path: methods
        for path, methods in document["paths"].items()
        # To attach to an invocation or ask for its output takes the id of one: made-up ids get 404
        # from the ingress, and no code of ours is reached.
        if not path.startswith("/restate/invocation/")
    }
    parameters = document["components"]["parameters"]
    for operation in (each for methods in document["paths"].values() for each in methods.values()):
        if "requestBody" in operation:
            operation["requestBody"]["required"] = True
        if mode is GenerationMode.NEGATIVE:
            # With the key of a request that was taken, the answer is that of this one.
            operation["parameters"] = [
                each for each in operation["parameters"] if "idempotency" not in str(each)
            ]
    parameters["delay"]["schema"] = {"enum": ["0ms", "20ms", "PT0S"]}
    schemas = document["components"]["schemas"]
    if "run_taskRequest" in schemas:
        # These name invocations. An id of the right form that the server cannot decode makes it
        # refuse the attempt, and the attempt is made again, until the task is paused.
        schemas["run_taskRequest"]["properties"]["behind"] = {"const": []}
        # Without a brief one waits for it, for ten minutes; and nobody gives an empty one.
        schemas["run_taskRequest"]["required"].append("brief")
        brief = schemas["run_taskRequest"]["properties"]["brief"]
        schemas["run_taskRequest"]["properties"]["brief"] = brief["anyOf"][0]
    if mode is GenerationMode.POSITIVE:
        if "key" in parameters:
            parameters["key"]["schema"] = {"enum": _SESSIONS}
        for schema, body in schemas.items():
            fields = body.get("properties", {}) if schema.endswith("Request") else {}
            fields.update({name: {"enum": _FEW[name]} for name in _FEW.keys() & fields.keys()})
    return document


def _no_float(value: Any) -> bool:
    """JSON Schema takes 3.0 for an integer. The agent does not: it reads JSON strictly."""
    if isinstance(value, dict | list):
        return all(
            _no_float(item) for item in (value.values() if isinstance(value, dict) else value)
        )
    return not isinstance(value, float)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_requests_made_from_the_openapi_documents(
    stack: Stack, client: requests.Session, mode: GenerationMode
) -> None:
    stack.model.set(tokens_per_second=10_000)
    since = stack.admin.query("SELECT now() AS now")[0]["now"]
    services = [service["name"] for service in stack.admin.get("/services")["services"]]
    schemas = [schemathesis.openapi.from_dict(_document(stack, name, mode)) for name in services]
    operations = [found.ok() for schema in schemas for found in schema.get_all_operations()]
    if mode is GenerationMode.NEGATIVE:
        # With no body and with strings for parameters, there is nothing that does not fit.
        operations = [operation for operation in operations if operation.body]
    answers: Counter[tuple[str, int]] = Counter()

    def send(case: Case) -> None:
        response = case.call(base_url=stack.restate.ingress_url, session=client, timeout=20)
        path = case.operation.path
        answers[path, response.status_code // 100] += 1
        checks = list(_SHAPES)
        # What is sent is accepted unread, and refused where nobody hears it.
        if not path.startswith("/restate/send/"):
            checks.append(_FITS[mode])
        # A task whose turn is over fails, with 500 as any step that does.
        if "/CodingTask/" not in path:
            checks.append(not_a_server_error)
        case.validate_response(response, checks=checks)

    for operation in operations:
        cases = operation.as_strategy(generation_mode=mode)
        if mode is GenerationMode.POSITIVE:
            cases = cases.filter(lambda case: _no_float(case.body))
        _SETTINGS(given(cases)(send))()
    assert {path for path, _ in answers} == {operation.path for operation in operations}
    # A body that does not fit is refused by each handler that takes one.
    refused = {path for path, hundreds in answers if hundreds == 4}
    if mode is GenerationMode.NEGATIVE:
        assert refused >= {op.path for op in operations if op.path.startswith("/restate/call/")}
    _settle(stack, since)
    # No object is left in a state that it cannot read.
    for service, handler in _READERS:
        for key in _SESSIONS:
            stack.ingress.call(service, handler, key=key)


def _settle(stack: Stack, since: str) -> None:
    """Wait until all that was asked for has ended; nothing of it may be stuck."""
    left = f"created_at >= '{since}' AND status"

    def over() -> bool:
        assert not stack.count("sys_invocation", f"{left} IN ('paused', 'backing-off')")
        return not stack.count("sys_invocation", f"{left} <> 'completed'")

    wait_until(over, what="every invocation of the fuzz to end", timeout=30)
