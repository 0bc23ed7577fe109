"""The two agents that are compared, each in a process of its own."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import httpx

from tests.stack import Stack
from workbench import process
from workbench.home import REPOSITORY
from workbench.ports import free_port


@dataclass(frozen=True)
class Pattern:
    """How an agent is called and found; both answer `message` with `turn` and `task_id`."""

    name: str
    agent: str
    """The virtual object that takes messages."""
    task: str
    """The service whose `run_task` does a turn's work."""
    pid: int
    stops: bool
    """Whether it has a handler `stop`; else its tasks have to be killed."""


def agent_of(stack: Stack) -> Pattern:
    """The agent of the series."""
    return Pattern(
        "this agent", agent="CodingAgent", task="CodingTask", pid=stack.agent.pid, stops=True
    )


def start_naive(stack: Stack) -> Pattern:
    """Serve the naive agent and register it."""
    port = free_port()
    running = process.start(
        "naive",
        [sys.executable, "-m", "tests.benchmark.naive_agent", "--port", str(port)],
        env={"OPENAI_BASE_URL": stack.model.base_url},
        cwd=REPOSITORY,
    )
    with httpx.Client(trust_env=False, timeout=2.0) as client:
        running.wait_ready(lambda: _answers(client, f"http://127.0.0.1:{port}/health"))
    stack.admin.register(f"http://127.0.0.1:{port}")
    return Pattern("naive", agent="NaiveAgent", task="NaiveTask", pid=running.pid, stops=False)


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).status_code == 200
    except httpx.TransportError:
        return False
