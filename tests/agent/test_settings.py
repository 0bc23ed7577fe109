"""`python -m agent` with settings that it cannot work with, and how it ends."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import httpx
import pytest

from agent.provider import client
from agent.settings import SettingsError
from workbench import wait_until
from workbench.loopback import free_port
from workbench.state_dir import REPOSITORY

CANARY = "sk-canary-5d2c11"
REMOTE = {"OPENAI_BASE_URL": "https://nothing.invalid/v1"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"AGENT_BIND": "9080"}, r"AGENT_BIND\W+is not host:port"),
        ({"AGENT_BIND": "127.0.0.1:99999"}, r"AGENT_BIND\W+is not host:port"),
        ({"AGENT_BIND": "0.0.0.0:9080"}, "AGENT_IDENTITY_KEYS must say whose requests to accept"),
        ({"AGENT_MAX_ATTEMPTS": "0"}, r"AGENT_MAX_ATTEMPTS\W+input should be greater than"),
        ({"AGENT_CALL_TIMEOUT": "soon"}, r"AGENT_CALL_TIMEOUT\W+input should be a valid number"),
        ({"AGENT_CANCEL_TIMEOUT": "nan"}, r"_TIMEOUT\W+input should be a finite number"),
        ({"AGENT_CANCEL_TIMEOUT": "90000"}, r"_TIMEOUT\W+input should be less than"),
        ({"RESTATE_ADMIN_URL": "localhost:9070"}, r"RESTATE_ADMIN_URL\W+is not a URL"),
        ({"OPENAI_BASE_URL": "http://[::1/v1"}, "OPENAI_BASE_URL"),
        ({"OPENAI_BASE_URL": "https:///v1"}, r"OPENAI_BASE_URL\W+is not a URL"),
        ({"OPENAI_API_KEY": f"{CANARY}é"}, r"OPENAI_API_KEY\W+holds a space"),
        ({"OPENAI_API_KEY": f"{CANARY}\n"}, r"OPENAI_API_KEY\W+holds a space"),
        ({**REMOTE, "ALL_PROXY": "socks5://127.0.0.1:1"}, "pip install socksio"),
        ({**REMOTE, "SSL_CERT_FILE": "/nothing"}, "SSL_CERT_FILE"),
    ],
)
def test_a_setting_that_cannot_be_used(
    settings: dict[str, str], message: str, configured: Callable[..., None]
) -> None:
    configured(**settings)
    with pytest.raises(SettingsError) as refused:
        client()
    assert re.search(message, str(refused.value), re.IGNORECASE)
    assert "\n" not in str(refused.value)
    assert CANARY not in str(refused.value)


def _launched(bind: str, **env: str) -> subprocess.Popen[str]:
    """The agent in a process of its own."""
    variables = {**os.environ, "AGENT_BIND": bind, **env}
    command = [sys.executable, "-m", "agent"]
    return subprocess.Popen(
        command, cwd=REPOSITORY, env=variables, stderr=subprocess.PIPE, text=True
    )


def test_what_is_wrong_is_said_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        agents = [_launched(bind), _launched(bind, OPENAI_API_KEY=f"{CANARY}\n")]
        for agent, says in zip(agents, (f"cannot listen on {bind}", "OPENAI_API_KEY"), strict=True):
            said = agent.communicate(timeout=30)[1]
            assert agent.returncode == 2
            (line,) = [line for line in said.splitlines() if " INFO " not in line]
            assert re.match(f"agent: .*{says}", line)
            assert CANARY not in said


def test_a_signal_ends_it() -> None:
    def healthy(bind: str) -> bool:
        try:
            return httpx.get(f"http://{bind}/health").status_code == 200
        except httpx.TransportError:
            return False

    binds = {number: f"127.0.0.1:{free_port()}" for number in (signal.SIGTERM, signal.SIGINT)}
    agents = {number: _launched(bind) for number, bind in binds.items()}
    try:
        for number, agent in agents.items():
            up = partial(healthy, binds[number])
            wait_until(up, what="the agent to answer", timeout=30)
            agent.send_signal(number)
            assert agent.wait(timeout=10) == 0
    finally:
        for agent in agents.values():
            agent.kill()
            agent.communicate()
