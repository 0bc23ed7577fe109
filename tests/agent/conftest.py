"""A second stack. Its agent does other work if the message asks for it, and stops where a test
tells it to (`other_work/held.py`). Tests may kill its server and its agent, and start them again.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent import provider
from agent.settings import settings
from tests.stack import Stack
from workbench.lesson import stop_all
from workbench.state_dir import use_state_dir


@pytest.fixture(scope="session")
def held_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Stack]]:
    home = tmp_path_factory.mktemp("held")
    try:
        with use_state_dir(home):
            stack = Stack.start(work="held")
        yield home, stack
    finally:
        with use_state_dir(home):
            stop_all()


@pytest.fixture
def held(held_home: tuple[Path, Stack]) -> Iterator[Stack]:
    home, stack = held_home
    with use_state_dir(home):
        yield stack
        stack.model.mend()


@pytest.fixture
def restarted(held: Stack) -> Iterator[Callable[..., Stack]]:
    """Restart the agent of `held` with other settings, for one test."""

    def restart(**env: str) -> Stack:
        held.restart_agent(**env)
        return held

    yield restart
    held.restart_agent()


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Give the agent's code other settings in this process, for one test."""

    def configure(**env: str) -> None:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        for cached in (settings, provider.client, provider._turnstile):
            cached.cache_clear()
        provider._refused.clear()

    configure()
    yield configure
    monkeypatch.undo()
    configure()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
