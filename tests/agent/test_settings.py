"""`python -m agent` with settings that it cannot work with, and how it ends."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from agent.provider import client
from agent.settings import SettingsError
from agent.settings import settings as agent_settings
from workbench import wait_until
from workbench.loopback import free_port

ROOT = Path(__file__).parents[2]
CANARY = "sk-canary-5d2c11"
REMOTE = {"OPENAI_BASE_URL": "https://nothing.invalid/v1"}


def _environment(**settings: str) -> dict[str, str]:
    return {
        key: value for key, value in os.environ.items() if not key.startswith("AGENT_")
    } | settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"AGENT_BIND": "9080"}, r"AGENT_BIND\W+is not host:port"),
        ({"AGENT_BIND": "127.0.0.1:99999"}, r"AGENT_BIND\W+is not host:port"),
        ({"AGENT_BIND": "0.0.0.0:9080"}, "AGENT_IDENTITY_KEYS must say whose requests to accept"),
        ({"AGENT_MAX_ATTEMPTS": "many"}, r"AGENT_MAX_ATTEMPTS\W+input should be a valid integer"),
        ({"AGENT_MAX_ATTEMPTS": "0"}, r"AGENT_MAX_ATTEMPTS\W+input should be greater than"),
        ({"AGENT_CALL_TIMEOUT": "soon"}, r"AGENT_CALL_TIMEOUT\W+input should be a valid number"),
        (
            {"AGENT_CANCEL_TIMEOUT": "nan"},
            r"AGENT_CANCEL_TIMEOUT\W+input should be a finite number",
        ),
        ({"AGENT_CANCEL_TIMEOUT": "90000"}, r"AGENT_CANCEL_TIMEOUT\W+input should be less than"),
        ({"RESTATE_ADMIN_URL": "localhost:9070"}, r"RESTATE_ADMIN_URL\W+is not a URL"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:99999/v1"}, "OPENAI_BASE_URL"),
        ({"OPENAI_BASE_URL": "http://[::1/v1"}, "OPENAI_BASE_URL"),
        ({"OPENAI_BASE_URL": "https:///v1"}, r"OPENAI_BASE_URL\W+is not a URL"),
        (
            {"OPENAI_API_KEY": f"{CANARY}é"},
            r"OPENAI_API_KEY\W+holds a space, a line end or a letter",
        ),
        ({"OPENAI_API_KEY": f"{CANARY}\u00a0"}, r"OPENAI_API_KEY\W+holds a space"),
        ({"OPENAI_API_KEY": f"{CANARY}\n"}, r"OPENAI_API_KEY\W+holds a space"),
        ({**REMOTE, "ALL_PROXY": "socks5://127.0.0.1:1"}, "pip install socksio"),
        ({**REMOTE, "SSL_CERT_FILE": "/nothing"}, "SSL_CERT_FILE"),
    ],
)
def test_a_setting_that_cannot_be_used(
    settings: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    _forget()
    with pytest.raises(SettingsError) as refused:
        client()
    monkeypatch.undo()
    _forget()
    assert re.search(message, str(refused.value), re.IGNORECASE)
    assert "\n" not in str(refused.value)
    assert CANARY not in str(refused.value)


def _forget() -> None:
    agent_settings.cache_clear()
    client.cache_clear()


@pytest.mark.parametrize(
    "settings", [{"OPENAI_API_KEY": f"{CANARY}\n"}, {**REMOTE, "ALL_PROXY": "socks5://[::1]:1"}]
)
def test_it_ends_with_one_line(settings: dict[str, str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "agent"],
        cwd=ROOT,
        env=_environment(**settings),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("agent: ")
    assert ended.stderr.count("\n") == 1
    assert CANARY not in ended.stderr


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
        wait_until(healthy, what="the agent to answer", timeout=30)
        yield agent
    finally:
        agent.kill()
        agent.wait()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(signum: signal.Signals) -> None:
    with _agent(free_port()) as agent:
        agent.send_signal(signum)
        assert agent.wait(timeout=10) == 0
