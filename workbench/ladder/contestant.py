"""The program that is judged: a process that serves Restate over HTTP, in any language."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from workbench import loopback, process
from workbench.clients import Admin, AdminError
from workbench.ladder.errors import Unplayable
from workbench.model_client import ScriptedModel
from workbench.process import Running
from workbench.restate import Restate
from workbench.state_dir import WorkbenchError

AGENT = "Agent"
_START_SECONDS = 20.0
_HANDLERS = ("message", "turns")
_LOOKERS = {"turns", "files"}


class Contestant:
    """A learner's program. Two versions of it may run side by side, each at an address of its own.

    Each method raises Unplayable where the program does not do its part.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        restate: Restate,
        model: ScriptedModel,
        admin: Admin,
    ) -> None:
        self.name = name
        self._command, self._folder = list(command), folder
        self._restate, self._model, self._admin = restate, model, admin
        self._running: dict[int, Running] = {}
        self._ports: dict[int, int] = {}
        self.deployments: dict[int, str] = {}

    def start(self, version: int = 1) -> None:
        """Start the program, on the port that it had before, and register it."""
        port = self._ports.setdefault(version, loopback.free_port())
        env = {
            "AGENT_BIND": f"127.0.0.1:{port}",
            "AGENT_VERSION": str(version),
            "OPENAI_BASE_URL": self._model.base_url,
            "OPENAI_API_KEY": "scripted",
            "RESTATE_ADMIN_URL": self._restate.admin_url,
            "PYTHONUNBUFFERED": "1",
            "WORKBENCH_HOME": None,
        }
        running = process.start(f"contestant-{version}", self._command, env=env, cwd=self._folder)
        self._running[version] = running
        self._wait_until_it_listens(running, port)
        if version not in self.deployments:
            self.register(version)

    def register(self, version: int = 1) -> None:
        """Make a version that runs the one to which new calls go."""
        uri = f"http://127.0.0.1:{self._ports[version]}"
        self.deployments[version] = self._register(uri)

    def kill(self, version: int = 1) -> None:
        """SIGKILL it, as a crash would."""
        self._running[version].kill()

    def stop(self, version: int | None = None) -> None:
        """End one version, or all that run."""
        for number in [version] if version else list(self._running):
            self._running.pop(number).kill()

    def look(self) -> None:
        """Raise Unplayable if it is not there any more."""
        for running in self._running.values():
            if not running.alive:
                raise Unplayable(_ended(self.name, running, "in the middle of the level"))

    @property
    def log(self) -> str:
        """The end of what it has printed."""
        files = {each.log for each in self._running.values()}
        return "\n".join(Path(file).read_text(errors="replace")[-50_000:] for file in sorted(files))

    def _wait_until_it_listens(self, running: Running, port: int) -> None:
        try:
            running.wait_ready(lambda: not loopback.is_free(port), timeout=_START_SECONDS)
        except WorkbenchError:
            if not running.alive:
                raise Unplayable(_ended(self.name, running, "before it listened")) from None
            places = ", ".join(sorted(_places(running.pid))) or "nowhere"
            raise Unplayable(
                f"{self.name} runs, but does not listen on 127.0.0.1:{port} after "
                f"{_START_SECONDS:g} s; it listens {places}.\n"
                "Bind to the address in the environment variable AGENT_BIND."
            ) from None

    def _register(self, uri: str) -> str:
        try:
            deployment = self._registered(uri)
        except AdminError as error:
            raise Unplayable(
                f"{self.name} listens, but Restate finds no services there: {_first(error)}\n"
                "Serve Restate's protocol on AGENT_BIND; see the first page of the ladder."
            ) from error
        services = {service["name"]: service for service in deployment["services"]}
        agent = services.get(AGENT)
        if agent is None or agent["ty"] != "VirtualObject":
            found = ", ".join(sorted(services)) or "nothing"
            raise Unplayable(
                f"{self.name} serves {found}. The contract asks for a virtual object "
                f"{AGENT!r}, keyed by session."
            )
        kinds = {handler["name"]: handler.get("ty") for handler in agent["handlers"]}
        names = kinds.keys()
        if missing := [name for name in _HANDLERS if name not in names]:
            raise Unplayable(
                f"{AGENT!r} of {self.name} has no handler {missing[0]!r}; it has "
                f"{', '.join(sorted(names))}."
            )
        for name in _LOOKERS & names:
            if kinds[name] != "Shared":
                raise Unplayable(
                    f"{name!r} of {AGENT!r} must be a shared handler: whoever only looks must not "
                    "wait for the session's key."
                )
        return str(deployment["id"])

    def _registered(self, uri: str) -> dict[str, Any]:
        body = {"uri": uri, "force": True}
        try:
            answer = self._admin.request("POST", "/deployments", body, echo=False)
        except AdminError:  # a server without HTTP/2
            body |= {"use_http_11": True}
            answer = self._admin.request("POST", "/deployments", body, echo=False)
        found: dict[str, Any] = answer
        return found


def _places(pid: int) -> set[str]:
    """Where a process, or what it has started, listens."""
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(pid)
        return {
            f"on {each.laddr[0]}:{each.laddr[1]}"
            for one in [parent, *parent.children(recursive=True)]
            for each in one.net_connections("tcp")
            if each.status == psutil.CONN_LISTEN
        }
    return set()


def _ended(name: str, running: Running, when: str) -> str:
    said = running.log_tail(1).strip() or "nothing"
    return f"{name} ended {when}. The last line that it printed: {said}"


def _first(error: Exception) -> str:
    return str(error).splitlines()[0]
