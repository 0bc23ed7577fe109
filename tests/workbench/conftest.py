"""A Restate server and a few small services, for the tests of what looks at them."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.workbench.probe_service import box, probe
from workbench.clients import Admin, Ingress
from workbench.lesson import stop_all
from workbench.restate import Restate, start_restate
from workbench.serve import serve_here
from workbench.state_dir import REPOSITORY, use_state_dir


@pytest.fixture(scope="session")
def restate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restate]:
    """A server in a home of its own, with the services of `probe_service.py`."""
    home = tmp_path_factory.mktemp("views-home")
    # Only while starting and stopping: other tests choose their own home.
    with use_state_dir(home):
        server = start_restate("embedded", progress=lambda line: None)
    try:
        with serve_here(probe, box) as here, Admin(server, echo=lambda line: None) as admin:
            admin.register(here.uri)
            yield server
    finally:
        with use_state_dir(home):
            stop_all()


@pytest.fixture
def another_kernel() -> Callable[[str], tuple[str, str]]:
    """Runs code in a Python process of its own, and returns what it wrote to stdout and stderr."""

    def run(code: str) -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-c", code],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        return done.stdout, done.stderr

    return run


@pytest.fixture
def lines() -> list[str]:
    """What `admin` and `ingress` have printed."""
    return []


@pytest.fixture
def admin(restate: Restate, lines: list[str]) -> Iterator[Admin]:
    with Admin(restate, echo=lines.append) as client:
        yield client


@pytest.fixture
def ingress(restate: Restate, lines: list[str]) -> Iterator[Ingress]:
    with Ingress(restate, echo=lines.append) as client:
        yield client


@pytest.fixture
def key() -> str:
    """A virtual object that no other test knows."""
    return f"test-{uuid.uuid4().hex[:12]}"
