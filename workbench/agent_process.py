"""The agent as a real process of its own: it can crash without taking the notebook along.

The workbench does not import the agent. It starts `python -m agent`, as a deployment would, and
tells it through its environment where to listen and which model to call.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from typing import Protocol

import httpx

from workbench import home, ports, process
from workbench.errors import WorkbenchError
from workbench.restate import Restate

__all__ = ["AgentProcess", "start_agent"]

_DEFAULT_PORT = 9080
_SCRIPTED_KEY = "scripted"  # the scripted model takes any key; the OpenAI client insists on one


class Model(Protocol):
    """What the agent needs to know of a model: `start_model()` returns one."""

    @property
    def base_url(self) -> str:
        """The address of its OpenAI-compatible API, `…/v1`."""

    @property
    def scripted(self) -> bool:
        """Whether it runs here, and takes no key."""


class AgentProcess:
    """A handle on the agent's process, which may be started, killed and started again."""

    def __init__(self, name: str, restate: Restate, port: int, env: dict[str, str | None]) -> None:
        self.name = name
        self._restate = restate
        self._port = port
        self._env = env
        self._running: process.Running | None = process.find(name)

    @property
    def uri(self) -> str:
        """Where Restate reaches the agent: what a deployment is registered with."""
        return f"http://{self._restate.agent_host}:{self._port}"

    @property
    def pid(self) -> int:
        """The process's number. Raises WorkbenchError when it does not run."""
        if self._running is None or not self._running.alive:
            raise WorkbenchError(f"{self.name} does not run. Start it with its start().")
        return self._running.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._running is not None and self._running.alive

    def start(self) -> None:
        """Start the process, with the same port and environment each time; return when it answers.

        Nothing happens if it runs. Raises WorkbenchError, with the end of the log, if it fails.
        """
        with home.exclusive(self.name):
            self._start_locked()

    def _start_locked(self) -> None:
        """`start()`, for who holds the lock already."""
        self._running = process.find(self.name) or self._launch()
        with httpx.Client(trust_env=False, timeout=2.0) as client:
            self._running.wait_ready(lambda: _healthy(client, self._health_url))

    def stop(self) -> None:
        """Ask the process to end, and wait until it has."""
        if self._running is not None:
            self._running.stop()

    def kill(self) -> None:
        """SIGKILL the process: it ends as in a crash, in the middle of whatever it does."""
        if self._running is not None:
            self._running.kill()

    def log_tail(self, lines: int = 15) -> str:
        """The last lines that the process wrote since its latest start."""
        return self._running.log_tail(lines) if self._running is not None else ""

    def __str__(self) -> str:
        state = f"pid {self.pid}" if self.alive else "not running"
        return f"{self.name} · {self.uri} · {state}"

    def _runs_as_asked(self) -> bool:
        """Whether the running process has this environment, and the code as it is now."""
        running = self._running
        return (
            running is not None
            and running.env_hash == process.hash_env(self._env)
            and running.extra.get("code") == _code()
        )

    @property
    def _health_url(self) -> str:
        bind = self._restate.agent_bind
        return f"http://{'127.0.0.1' if bind == '0.0.0.0' else bind}:{self._port}/health"

    def _launch(self) -> process.Running:
        if not ports.is_free(self._port, self._restate.agent_bind):
            raise WorkbenchError(
                f"The port {self._port} of {self.name} is taken by {ports.holder(self._port)}.\n"
                "Stop that program, then start the agent again."
            )
        return process.start(
            self.name,
            [sys.executable, "-m", "agent"],
            env=self._env,
            extra={"port": self._port, "code": _code()},
            cwd=home.REPOSITORY,
        )


def start_agent(
    restate: Restate,
    model: Model,
    *,
    name: str = "agent",
    env: Mapping[str, str] | None = None,
) -> AgentProcess:
    """Start `python -m agent`, or find it where it runs; it answers when this returns.

    It listens on the port that it had last, or 9080 if that is free, or else a free one. One that
    runs with another environment, or with code that has changed since, is replaced. `name` tells
    several agents apart; `env` is added to the agent's environment (`{"AGENT_MAX_ATTEMPTS": "2"}`).
    Raises WorkbenchError, with the end of the log, if it does not come up.
    """
    with home.exclusive(name):
        port = _port(name, restate)
        agent = AgentProcess(name, restate, port, _environment(restate, model, port, env or {}))
        if agent.alive and not agent._runs_as_asked():
            agent.stop()
        agent._start_locked()
    return agent


def _port(name: str, restate: Restate) -> int:
    last = process.last(name)
    if last is not None and (last.alive or ports.is_free(last.extra["port"], restate.agent_bind)):
        return int(last.extra["port"])
    # Another home than the repository's own does not take the port that everyone expects to get.
    return ports.free_port(_DEFAULT_PORT if home.is_default() else None, host=restate.agent_bind)


def _environment(
    restate: Restate, model: Model, port: int, env: Mapping[str, str]
) -> dict[str, str | None]:
    """All that the agent's behaviour depends on, inherited settings included, so that it compares.

    A value of None stands for a variable that must not be set.
    """
    inherited = {key: value for key, value in os.environ.items() if key.startswith("AGENT_")}
    without_proxy = f"{os.environ.get('NO_PROXY', '')},127.0.0.1".lstrip(",")
    return {
        **inherited,
        "AGENT_BIND": f"{restate.agent_bind}:{port}",
        "AGENT_IDENTITY_KEYS": ",".join(restate.identity_keys),
        "RESTATE_ADMIN_URL": restate.admin_url,
        "OPENAI_BASE_URL": model.base_url,
        "OPENAI_API_KEY": _SCRIPTED_KEY if model.scripted else os.environ.get("OPENAI_API_KEY"),
        **({"NO_PROXY": without_proxy, "no_proxy": without_proxy} if model.scripted else {}),
        **env,
    }


def _code() -> str:
    """A digest of the agent's source: a process that runs older code is not the one asked for."""
    digest = hashlib.sha256()
    for path in sorted((home.REPOSITORY / "agent").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _healthy(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).status_code == 200
    except httpx.TransportError:
        return False
