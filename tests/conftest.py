"""What every test may ask for: a real Restate server, the scripted model and the agent, started
once for all tests.

They live in a home of their own in a temporary folder, so lessons that a reader has open are never
touched.
Tests share the server and keep apart by using keys of their own.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis.configuration import set_hypothesis_home_dir

from tests.stack import Stack
from workbench.own_home import forget_real_provider
from workbench.state_dir import REPOSITORY

forget_real_provider()  # also in what the tests start
set_hypothesis_home_dir(REPOSITORY / ".workbench" / "hypothesis")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The server, the model and the agent that most tests share."""
    # Three attempts, so that tests that wait for a pause do not wait for long.
    with Stack.running(tmp_path_factory.mktemp("home"), max_attempts=3) as stack:
        yield stack


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack for one test that kills parts of it."""
    with Stack.running(tmp_path) as stack:
        yield stack
