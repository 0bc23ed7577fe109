"""Programs as processes of their own: they can crash without taking the notebook along.

The workbench imports neither the agent nor the programs of the lessons. It starts them, as a
deployment would, and tells them through their environment where to listen and which model to call.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from workbench import loopback, process
from workbench.bench import current
from workbench.clients import wait_until
from workbench.model_client import Provider, ScriptedModel
from workbench.restate import Restate
from workbench.state_dir import REPOSITORY, WorkbenchError, exclusive, is_default

_PROGRAMS = REPOSITORY / "notebooks" / "programs"
_DEFAULT_PORT = 9080
_SCRIPTED_KEY = "scripted"  # the scripted model takes any key; the OpenAI client insists on one


class _OwnProcess:
    """A handle on a program's process, which may be started, killed and started again."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        restate: Restate,
        port: int,
        env: Mapping[str, str | None],
        folder: Path = REPOSITORY,
    ) -> None:
        self.name = name
        self.uri = f"http://{restate.agent_host}:{port}" if port else ""
        """The URL under which Restate reaches the program, to register; empty if it serves none."""
        self._command, self._env, self._folder = [sys.executable, *command], env, folder
        self._bind, self._port = restate.agent_bind, port
        self._running = process.find(name)

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

    def kill(self) -> None:
        """SIGKILL the process: it ends as in a crash, in the middle of whatever it does."""
        if self._running is not None:
            self._running.kill()

    def log_tail(self, lines: int = 15) -> str:
        """The last lines that the process wrote since its latest start."""
        return self._running.log_tail(lines) if self._running is not None else ""

    def _launch(self, **extra: object) -> process.Running:
        if self._port and not loopback.is_free(self._port, self._bind):
            raise WorkbenchError(
                f"The port {self._port} of {self.name} is taken by "
                f"{loopback.port_holder(self._port)}.\nStop that program, then start {self.name} "
                "again."
            )
        return process.start(
            self.name,
            self._command,
            env=self._env,
            extra={"port": self._port, **extra},
            cwd=self._folder,
        )

    def _wait_ready(self, running: process.Running) -> None:
        """Return when it answers, if it is one that serves."""
        if not self._port:
            return
        host = "127.0.0.1" if self._bind == "0.0.0.0" else self._bind
        with httpx.Client(trust_env=False, timeout=2.0) as client:
            health = f"http://{host}:{self._port}/health"
            running.wait_ready(lambda: _answers(client, health))


class Program(_OwnProcess):
    """A program in `notebooks/programs`, such as `plain_agent.py`, which talks to the model.

    One that `serves` has an ASGI `app`, which hypercorn serves at `uri`, an address to register.
    """

    def __init__(self, file: str, *, serves: bool = False) -> None:
        if not (_PROGRAMS / file).exists():
            raise WorkbenchError(f"There is no program {file!r} in {_PROGRAMS}.")
        restate, model, *_ = current()
        name = file.removesuffix(".py")
        port, command = 0, [file]
        if serves:
            port = loopback.free_port(host=restate.agent_bind)
            command = ["-m", "hypercorn", f"{name}:app", "--workers", "0"]  # in this very process
            command += ["--bind", f"{restate.agent_bind}:{port}"]
        env = {
            "OPENAI_BASE_URL": model.base_url,
            "OPENAI_API_KEY": _SCRIPTED_KEY,
            "RESTATE_IDENTITY_KEYS": ",".join(restate.identity_keys),
        }
        super().__init__(name, command, restate=restate, port=port, env=env, folder=_PROGRAMS)

    def start(self) -> None:
        """Start the program, anew if it runs; return when it answers, if it is one that serves.

        Raises WorkbenchError, with the end of its log, if it does not come up.
        """
        if former := process.find(self.name):  # of a cell that is run again
            former.kill()
        self._running = self._launch()
        self._wait_ready(self._running)
        print(f"{self.name}: started, pid {self._running.pid}")

    def kill(self) -> None:
        """SIGKILL the program. Raises WorkbenchError when it does not run."""
        _ = self.pid
        super().kill()
        print(f"{self.name}: killed with SIGKILL")

    def wait(self, timeout: float = 20.0) -> str:
        """Wait until the program has ended by itself; return what it printed."""
        wait_until(lambda: not self.alive, what=f"{self.name} to end", timeout=timeout)
        return self.log_tail()


class AgentProcess(_OwnProcess):
    """A handle on the agent's process; see `start_agent`."""

    def start(self) -> None:
        """Start the process, with the same port and environment each time; return when it answers.

        Nothing happens if it runs. Raises WorkbenchError, with the end of the log, if it fails.
        """
        with exclusive(self.name):
            self._start_locked()

    def stop(self) -> None:
        """Ask the process to end, and wait until it has."""
        if self._running is not None:
            self._running.stop()

    def __str__(self) -> str:
        state = f"pid {self.pid}" if self.alive else "not running"
        return f"{self.name} · {self.uri} · {state}"

    def _start_locked(self) -> None:
        """`start()`, for a caller that holds the lock already."""
        self._running = process.find(self.name) or self._launch(code=self._code())
        self._wait_ready(self._running)

    def _runs_as_asked(self) -> bool:
        """Whether the running process has this environment, and the code as it is now."""
        running = self._running
        return (
            running is not None
            and running.env_hash == process.hash_env(self._env)
            and running.extra.get("code") == self._code()
        )

    def _code(self) -> str:
        """A digest of what runs: a process of older code is not the one asked for."""
        digest = hashlib.sha256(" ".join(self._command).encode())
        for path in sorted((REPOSITORY / "agent").rglob("*.py")):
            digest.update(path.read_bytes())
        return digest.hexdigest()


def start_agent(
    restate: Restate,
    model: ScriptedModel | Provider,
    *,
    name: str = "agent",
    env: Mapping[str, str] | None = None,
    module: Sequence[str] = ("agent",),
) -> AgentProcess:
    """Start `python -m agent`, or find it where it runs; it answers when this returns.

    It listens on the port that it had last, or 9080 if that is free, or else a free one. One that
    runs with another environment, or with code that has changed since, is replaced. `name` tells
    several agents apart; `env` is added to the agent's environment (`{"AGENT_MAX_ATTEMPTS": "2"}`);
    `module` is what runs in place of `agent`, with its arguments. Raises WorkbenchError, with the
    end of the log, if it does not come up.
    """
    with exclusive(name):
        process.stop_lost(name)  # it may hold the port
        port = _port(name, restate)
        environment = _environment(restate, model, port, env or {})
        agent = AgentProcess(name, ["-m", *module], restate=restate, port=port, env=environment)
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


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).status_code == 200
    except httpx.TransportError:
        return False
