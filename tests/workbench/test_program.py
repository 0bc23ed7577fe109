"""The agent's process: found, replaced, crashed, started again. It needs no server for that."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import psutil
import pytest

from tests.workbench.test_process import is_dead
from workbench import process
from workbench.lesson import stop_all
from workbench.program import AgentProcess, start_agent
from workbench.restate import Restate
from workbench.state_dir import WorkbenchError


@dataclass
class Model:
    base_url: str = "http://127.0.0.1:1/v1"
    scripted: bool = True


RESTATE = Restate(mode="external", version="1", ingress_url="http://x", admin_url="http://x")
MODEL = Model()


@pytest.fixture(autouse=True)
def own_state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in os.environ:
        if name.startswith(("RESTATE_", "AGENT_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    yield tmp_path
    stop_all()


def start_tiny(env: dict[str, str] | None = None) -> AgentProcess:
    return start_agent(RESTATE, MODEL, env=env, module=["tests.workbench.tiny_agent"])


def environment(agent: AgentProcess) -> dict[str, str]:
    return psutil.Process(agent.pid).environ()


def test_it_answers_and_is_found_again_and_replaced_when_asked_for_otherwise(
    own_state_dir: Path,
    another_kernel: Callable[[str], tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said, _ = another_kernel("from tests.workbench.test_program import *; print(start_tiny().pid)")
    agent = start_tiny()
    assert agent.pid == int(said)  # it has outlived that kernel
    assert httpx.get(f"{agent.uri}/health").status_code == 200
    assert str(agent) == f"agent · {agent.uri} · pid {agent.pid}"
    assert environment(agent)["OPENAI_BASE_URL"] == MODEL.base_url
    assert environment(agent)["OPENAI_API_KEY"] == "scripted"
    assert environment(agent)["AGENT_BIND"] == agent.uri.removeprefix("http://")

    pid = agent.pid
    monkeypatch.setenv("AGENT_MODEL", "large")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    other_agent = start_tiny(env={"AGENT_MAX_ATTEMPTS": "2"})
    assert is_dead(pid)  # its parent has ended, and nobody here can reap it
    assert other_agent.uri == agent.uri
    assert environment(other_agent)["AGENT_MODEL"] == "large"
    assert environment(other_agent)["AGENT_MAX_ATTEMPTS"] == "2"
    assert environment(other_agent)["HTTPS_PROXY"] == "http://proxy.example"
    assert "127.0.0.1" in environment(other_agent)["no_proxy"]

    shutil.rmtree(own_state_dir)  # without a word to what runs
    pid = other_agent.pid
    assert start_tiny().pid != pid
    assert not psutil.pid_exists(pid)


def test_a_crash_and_the_start_after_it() -> None:
    agent = start_tiny()
    before, uri = agent.pid, agent.uri
    port = int(uri.rpartition(":")[2])
    agent.kill()
    assert not psutil.pid_exists(before)
    assert str(agent) == f"agent · {uri} · not running"
    with pytest.raises(WorkbenchError, match=r"agent does not run"):
        _ = agent.pid

    taken = pytest.raises(WorkbenchError, match=f"port {port} of agent is taken by .*pid")
    with socket.create_server(("127.0.0.1", port)), taken:
        agent.start()

    agent.start()
    assert agent.pid != before
    assert agent.uri == uri
    agent.start()  # nothing happens the second time
    assert start_tiny().pid == agent.pid  # nor when another kernel asks for it
    agent.stop()
    assert process.find("agent") is None
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{agent.uri}/health")


def test_a_setting_that_the_agent_refuses() -> None:
    with pytest.raises(WorkbenchError) as caught:
        start_agent(RESTATE, MODEL, env={"AGENT_MAX_ATTEMPTS": "many"})
    assert str(caught.value).startswith("agent died while starting.")
    assert "AGENT_MAX_ATTEMPTS" in str(caught.value).splitlines()[-1]


def test_beyond_loopback_it_has_the_servers_key_and_no_file_has_the_providers(
    own_state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    key = "publickeyv1_w7YHemBctH5Ck2nQRQ47iBBqhNHy4FV7t2Usbye2A6f"
    restate = replace(
        RESTATE,
        agent_host="host.docker.internal",
        agent_bind="0.0.0.0",
        identity_keys=(key,),
    )
    agent = start_agent(restate, Model("https://provider.example/v1", scripted=False))
    assert environment(agent)["OPENAI_API_KEY"] == "sk-secret"
    assert environment(agent)["OPENAI_BASE_URL"] == "https://provider.example/v1"
    files = [path for path in own_state_dir.rglob("*") if path.is_file()]
    assert files
    assert not any("sk-secret" in path.read_text() for path in files)

    port = agent.uri.removeprefix("http://host.docker.internal:")
    assert environment(agent)["AGENT_BIND"] == f"0.0.0.0:{port}"
    assert environment(agent)["AGENT_IDENTITY_KEYS"] == key
    assert httpx.get(f"http://127.0.0.1:{port}/discover").status_code == 401
