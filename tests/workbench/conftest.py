"""A Restate server and a few small services, for the tests of what looks at them."""

from __future__ import annotations

import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.flaky import Flaky
from workbench import process
from workbench.clients import Admin, Ingress
from workbench.lesson import stop_all
from workbench.restate import Restate, start_restate
from workbench.state_dir import REPOSITORY


@pytest.fixture(scope="session")
def restate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restate]:
    """A server in a home of its own, with `probe_service.py` registered."""
    home = tmp_path_factory.mktemp("views-home")
    service: process.Running | None = None
    # Only while starting and stopping: other tests choose their own home.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(home))
        server = start_restate("embedded", progress=lambda line: None)
    try:
        with pytest.MonkeyPatch.context() as patch, Admin(server, echo=lambda line: None) as admin:
            patch.setenv("WORKBENCH_HOME", str(home))
            service, uri = _start_service()
            admin.register(uri)
        yield server
    finally:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("WORKBENCH_HOME", str(home))
            if service is not None:
                service.kill()  # it has nothing to save
            stop_all()


def _start_service() -> tuple[process.Running, str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    script = Path(__file__).with_name("probe_service.py")
    service = process.start("probe", [sys.executable, script, str(port)], env={})

    def _listens() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    service.wait_ready(_listens)
    return service, f"http://127.0.0.1:{port}"


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


@pytest.fixture
def flaky(admin: Admin, ingress: Ingress, tmp_path: Path) -> Flaky:
    """A paused invocation that can be mended."""
    return Flaky.paused(admin, ingress, tmp_path)
