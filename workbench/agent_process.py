"""The agent as a real process of its own: it can crash without taking the notebook along.

The workbench does not import the agent. It starts `python -m agent`, as a deployment would, and
tells it through its environment where to listen and which model to call.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping

import httpx

from workbench import loopback, process
from workbench.model_client import Provider, ScriptedModel
from workbench.restate import Restate
from workbench.state_dir import REPOSITORY, WorkbenchError, exclusive, is_default

_DEFAULT_PORT = 9080
_SCRIPTED_KEY = "scripted"  # the scripted model takes any key; the OpenAI client insists on one


class AgentProcess:
    """A handle on the agent's process, which may be started, killed and started again."""

    def __init__(self, name: str, restate: Restate, port: int, env: dict[str, str | None]) -> None:
        self.name = name
        self.uri = f"http://{restate.agent_host}:{port}"
        """The URL under which Restate reaches the agent, to register."""
        self._bind = restate.agent_bind
        self._port = port
        self._env = env
        self._running: process.Running | None = process.find(name)

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
        with exclusive(self.name):
            self._start_locked()

    def _start_locked(self) -> None:
        """`start()`, for a caller that holds the lock already."""
        self._running = process.find(self.name) or self._launch()
        host = "127.0.0.1" if self._bind == "0.0.0.0" else self._bind
        with httpx.Client(trust_env=False, timeout=2.0) as client:
            health = f"http://{host}:{self._port}/health"
            self._running.wait_ready(lambda: _answers(client, health))

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

    def _launch(self) -> process.Running:
        if not loopback.is_free(self._port, self._bind):
            raise WorkbenchError(
                f"The port {self._port} of {self.name} is taken by "
                f"{loopback.port_holder(self._port)}.\nStop that program, then start the agent "
                "again."
            )
        return process.start(
            self.name,
            [sys.executable, "-m", "agent"],
            env=self._env,
            extra={"port": self._port, "code": _code()},
            cwd=REPOSITORY,
        )


def start_agent(
    restate: Restate,
    model: ScriptedModel | Provider,
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
    with exclusive(name):
        process.stop_lost(name)  # it may hold the port
        port = _port(name, restate)
        agent = AgentProcess(name, restate, port, _environment(restate, model, port, env or {}))
        if agent.alive and not agent._runs_as_asked():
            agent.stop()
        agent._start_locked()
    return agent


def _port(name: str, restate: Restate) -> int:
    last = process.last(name)
    if last and (last.alive or loopback.is_free(last.extra["port"], restate.agent_bind)):
        return int(last.extra["port"])
    # Another state folder than the repository's own does not take the well-known port.
    return loopback.free_port(_DEFAULT_PORT if is_default() else None, host=restate.agent_bind)


def _environment(
    restate: Restate, model: ScriptedModel | Provider, port: int, env: Mapping[str, str]
) -> dict[str, str | None]:
    """All that the agent's behaviour depends on, inherited settings included, so that it compares.

    A value of None stands for a variable that must not be set.
    """
    names = [name for name in os.environ if name.startswith("AGENT_")]
    if not model.scripted:  # how to reach the provider
        names += [name for name in os.environ if name.upper().endswith("_PROXY")]
        names += [name for name in os.environ if name.startswith("SSL_CERT_")]
    return {
        **{name: os.environ[name] for name in names},
        "AGENT_BIND": f"{restate.agent_bind}:{port}",
        "AGENT_IDENTITY_KEYS": ",".join(restate.identity_keys),
        "RESTATE_ADMIN_URL": restate.admin_url,
        "OPENAI_BASE_URL": model.base_url,
        "OPENAI_API_KEY": _SCRIPTED_KEY if model.scripted else os.environ.get("OPENAI_API_KEY"),
        **env,
    }


def _code() -> str:
    """A digest of the agent's source: a process that runs older code is not the one asked for."""
    digest = hashlib.sha256()
    for path in sorted((REPOSITORY / "agent").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).status_code == 200
    except httpx.TransportError:
        return False
