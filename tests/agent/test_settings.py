"""`python -m agent` with settings that it cannot work with, and how it ends."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from workbench import wait_until

ROOT = Path(__file__).parents[2]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment(**settings: str) -> dict[str, str]:
    return {
        key: value for key, value in os.environ.items() if not key.startswith("AGENT_")
    } | settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"AGENT_BIND": "9080"}, "AGENT_BIND='9080' is not host:port"),
        ({"AGENT_BIND": "127.0.0.1:99999"}, "is not host:port"),
        ({"AGENT_BIND": "0.0.0.0:9080"}, "AGENT_IDENTITY_KEYS must say whose requests to accept"),
        ({"AGENT_MAX_ATTEMPTS": "many"}, "AGENT_MAX_ATTEMPTS='many' is not a whole number"),
        ({"AGENT_MAX_ATTEMPTS": "0"}, "AGENT_MAX_ATTEMPTS='0' is not a whole number"),
    ],
)
def test_a_setting_that_cannot_be_used(settings: dict[str, str], message: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "agent"],
        cwd=ROOT,
        env=_environment(**settings),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 2
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = subprocess.run(
            [sys.executable, "-m", "agent"],
            cwd=ROOT,
            env=_environment(AGENT_BIND=bind),
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert ended.returncode == 2
    assert f"cannot listen on {bind}" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(signum: signal.Signals) -> None:
    port = _free_port()
    agent = subprocess.Popen(
        [sys.executable, "-m", "agent"],
        cwd=ROOT,
        env=_environment(AGENT_BIND=f"127.0.0.1:{port}"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:

        def healthy() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
            except httpx.TransportError:
                return False

        wait_until(healthy, what="the agent to answer")
        agent.send_signal(signum)
        assert agent.wait(timeout=10) == 0
    finally:
        agent.kill()
        agent.wait()


def test_requests_that_do_not_come_from_restate_are_refused() -> None:
    """With an identity key a direct request gets 401; health stays open."""
    port = _free_port()
    # A public key in Restate's format; nobody holds its private half.
    key = "publickeyv1_ChjENKeMvCtRnqG2mrBK1HmPKufgFUc98K8B3ononQvp"
    agent = subprocess.Popen(
        [sys.executable, "-m", "agent"],
        cwd=ROOT,
        env=_environment(AGENT_BIND=f"127.0.0.1:{port}", AGENT_IDENTITY_KEYS=key),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:

        def answers() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
            except httpx.TransportError:
                return False

        wait_until(answers, what="the agent to answer")
        assert httpx.get(f"http://127.0.0.1:{port}/discover").status_code == 401
        assert (
            httpx.post(
                f"http://127.0.0.1:{port}/invoke/CodingTask/run_task", content=b"{}"
            ).status_code
            == 401
        )
    finally:
        agent.terminate()
        agent.wait(timeout=10)
