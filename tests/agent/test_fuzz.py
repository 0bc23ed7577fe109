"""Whatever JSON comes to the ingress: the answer is never a 5xx, and no object is left in a state
that it cannot read.

`FUZZ_EXAMPLES=1000` makes that many requests, other ones each time; without it they are few and the
same each time.
"""

import os
import uuid
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.stack import Stack
from workbench import wait_until

_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
_SETTINGS = settings(
    max_examples=_EXAMPLES or 150,
    derandomize=not _EXAMPLES,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

_NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
_JSON = st.recursive(
    st.none() | st.booleans() | _NUMBERS | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
_TURNS = st.sampled_from([1, 2, 3, 2**31 - 1, 2**31, 0])

# What each public handler takes; something else takes the place of some of it.
_BRIEF = {"conversation": [{"role": "user", "content": "Hello"}]}
_CALL = {"step": "s", "prompt_tokens": 2**31 - 1, "completion_tokens": 2**31 - 1, "finished": True}
_BODIES: dict[str, Any] = {
    "CodingAgent/{}/message": {"content": "Hello", "when_busy": "enqueue"},
    "CodingAgent/{}/stop": None,
    "CodingAgent/{}/approve": {"turn": 1, "plan": 1, "yes": True},
    "CodingTask/run_task": {"session": "s", "turn": 1, "brief": _BRIEF},
    "CodingTask/write_file": {"session": "s", "turn": 1, "request": "", "plan": "", "path": "a"},
    "Workspace/{}/write_file": {"turn": 1, "epoch": "e", "path": "a.py", "content": "x"},
    "Workspace/{}/commit": {"turn": 1, "epoch": "e", "paths": ["a.py"]},
    "Workspace/{}/rollback": {"turn": 1, "epoch": "e"},
    "UsageMeter/{}/record": {"turn": 1, **_CALL},
}
_READERS = ["CodingAgent/get_turns", "CodingAgent/get_history", "CodingAgent/get_status"]
_READERS += ["UsageMeter/get_usage", "Workspace/read_files"]


@st.composite
def _requests(draw: Any) -> tuple[str, Any]:
    """A handler, and a body that fits, or has something else in one or two places."""
    target = draw(st.sampled_from(sorted(_BODIES)))
    body = _BODIES[target]
    if body is None or draw(st.integers(0, 9)) == 0:  # now and then in place of all of it
        return target, draw(_JSON)
    body = dict(body)
    if "turn" in body:
        body["turn"] = draw(_TURNS)
    for field in draw(st.lists(st.sampled_from([*body, "more"]), max_size=2)):
        body[field] = draw(_JSON)
    return target, body


@pytest.mark.timeout(180)
def test_whatever_json_comes(stack: Stack) -> None:
    stack.model.set(tokens_per_second=10_000)
    since = stack.admin.query("SELECT now() AS now")[0]["now"]
    key, answers = f"fuzz-{uuid.uuid4().hex[:8]}", set()

    with httpx.Client(base_url=stack.restate.ingress_url, timeout=20, trust_env=False) as client:

        @_SETTINGS
        @given(_requests())
        def send(request: tuple[str, Any]) -> None:
            target, body = request
            answer = client.post(f"/{target.format(key)}", json=body)
            answers.add((target, answer.status_code))
            # A task fails with 500, as any step does, where its turn is over.
            assert answer.status_code < 500 or target.startswith("CodingTask/"), answer.text
            assert len(answer.content) < 1000 or answer.is_success

        send()
    served = {
        f"{service['name']}/{handler['name']}"
        for service in stack.admin.get("/services")["services"]
        for handler in service["handlers"]
        if handler["public"]
    }
    assert served == {target.replace("{}/", "") for target in _BODIES} | {*_READERS}
    assert {target for target, status in answers if status in (400, 415)} == _BODIES.keys()

    def over() -> bool:
        left = f"created_at >= '{since}' AND status"
        assert not stack.count("sys_invocation", f"{left} IN ('paused', 'backing-off')")
        return not stack.count("sys_invocation", f"{left} <> 'completed'")

    wait_until(over, what="every invocation of the fuzz to end", timeout=30)
    for reader in _READERS:
        stack.ingress.call(*reader.split("/"), key=key)
