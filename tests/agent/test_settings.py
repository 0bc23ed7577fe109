"""`python -m agent` with settings that it cannot work with, and how it ends."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from workbench import wait_until
from workbench.ports import free_port

ROOT = Path(__file__).parents[2]


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
        ({"AGENT_CALL_TIMEOUT": "soon"}, "AGENT_CALL_TIMEOUT='soon' is not a number of seconds"),
        ({"AGENT_STALL_TIMEOUT": "0"}, "AGENT_STALL_TIMEOUT='0' is not a number of seconds"),
        ({"AGENT_CANCEL_TIMEOUT": "nan"}, "AGENT_CANCEL_TIMEOUT='nan' is not a number of seconds"),
        ({"AGENT_CANCEL_TIMEOUT": "90000"}, "is not a number of seconds, up to a day"),
        ({"AGENT_CONTEXT_TOKENS": "-1"}, "AGENT_CONTEXT_TOKENS='-1' is not a whole number"),
        ({"RESTATE_ADMIN_URL": "localhost:9070"}, "RESTATE_ADMIN_URL is no URL"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:99999/v1"}, "OPENAI_BASE_URL is no URL"),
        ({"OPENAI_BASE_URL": "http://[::1/v1"}, "OPENAI_BASE_URL is no URL"),
        ({"OPENAI_BASE_URL": "https:///v1"}, "OPENAI_BASE_URL is no URL"),
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


@contextlib.contextmanager
def _agent(port: int, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """An agent that answers on `port`; killed in the end if it still runs."""
    agent = subprocess.Popen(
        [sys.executable, "-m", "agent"],
        cwd=ROOT,
        env=_environment(AGENT_BIND=f"127.0.0.1:{port}", **settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def healthy() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_until(healthy, what="the agent to answer")
        yield agent
    finally:
        agent.kill()
        agent.wait()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(signum: signal.Signals) -> None:
    with _agent(free_port()) as agent:
        agent.send_signal(signum)
        assert agent.wait(timeout=10) == 0


def test_requests_that_do_not_come_from_restate_are_refused() -> None:
    """With an identity key a direct request gets 401; health stays open."""
    port = free_port()
    # A public key in Restate's format; nobody holds its private half.
    key = "publickeyv1_ChjENKeMvCtRnqG2mrBK1HmPKufgFUc98K8B3ononQvp"
    with _agent(port, AGENT_IDENTITY_KEYS=key):
        assert httpx.get(f"http://127.0.0.1:{port}/discover").status_code == 401
        invoke = f"http://127.0.0.1:{port}/invoke/CodingTask/run_task"
        assert httpx.post(invoke, content=b"{}").status_code == 401
