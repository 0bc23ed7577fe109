"""Restate, by whichever way this machine offers: Docker, the server's own binary, or elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from workbench import loopback, process
from workbench.restate import docker
from workbench.restate.install import VERSION, install_cli, install_server
from workbench.restate.server import Ports, Probe, Restate, choose_ports, launch, listens
from workbench.state_dir import WorkbenchError, exclusive, state_dir

__all__ = ["VERSION", "Restate", "install_cli", "install_server", "start_restate"]

_MODES = ("auto", "docker", "embedded", "external")
_NAME = "restate"


@dataclass(frozen=True, kw_only=True)
class EmbeddedRestate(Restate):
    """The server's binary as a child process; its data are in the state folder."""

    process: process.Running = field(repr=False)

    def stop(self) -> None:
        """Stop the server; its data stay."""
        self.process.stop()

    def kill(self) -> None:
        """SIGKILL the server."""
        self.process.kill()


def start_restate(
    mode: str | None = None,
    *,
    version: str | None = None,
    progress: Callable[[str], None] = print,
) -> Restate:
    """Start a Restate server, or find the one that this state folder's last start left running.

    `mode` is `docker`, `embedded`, `external` or `auto`; without it, `$RESTATE_MODE`; without that,
    `auto`: Docker if an engine answers, else embedded. `version` is that of another released server
    than the series is written against; it goes with `embedded` only. `progress` is given a line for
    each step that takes long (an installation, a download). Raises WorkbenchError that names the
    fix.
    """
    mode = mode or chosen_mode()
    if version is not None and mode != "embedded":
        raise WorkbenchError(f"Restate {version} can be had in the mode embedded, not {mode}.")
    if mode not in _MODES:
        raise WorkbenchError(f"Unknown Restate mode {mode!r}; valid are {', '.join(_MODES)}.")
    if mode == "external":
        return _find_external()
    with exclusive(_NAME, timeout=900):
        engine = None
        if mode == "docker":
            engine = docker.find_engine(progress, limit=30.0)
        elif mode == "auto" and process.find(_NAME) is None:
            engine = docker.answering_engine(progress)
        if engine is not None:
            return docker.start_docker(engine, progress)
        return _start_embedded(progress, version)


def chosen_mode() -> str:
    """The mode that `$RESTATE_MODE` names, or else `auto`. Raises WorkbenchError for another."""
    mode = os.environ.get("RESTATE_MODE") or "auto"
    if mode not in _MODES:
        raise WorkbenchError(
            f"Unknown Restate mode {mode!r} in RESTATE_MODE; valid are {', '.join(_MODES)}."
        )
    return mode


# Embedded: one static binary, no container, nothing to administer


def _start_embedded(progress: Callable[[str], None], version: str | None) -> EmbeddedRestate:
    running, ports = _run_server(progress, version or VERSION)
    found = Probe(ports.ingress_url, ports.admin_url).version()
    if version not in (None, found):
        raise WorkbenchError(
            f"Restate {found} runs in {state_dir()}, and not {version}.\n"
            "Stop it first, or set WORKBENCH_HOME to another folder."
        )
    return EmbeddedRestate(
        mode="embedded",
        version=found,
        ingress_url=ports.ingress_url,
        admin_url=ports.admin_url,
        process=running,
    )


def _run_server(progress: Callable[[str], None], version: str) -> tuple[process.Running, Ports]:
    """The server, found or started, and ready.

    A port may be taken between the look at it and the server's own attempt: then others are tried,
    or `choose_ports` says that one of the environment is taken.
    """
    for tries_left in (2, 1, 0):
        running = process.find(_NAME) or _launch(progress, version)
        ports = Ports(**running.extra)
        try:
            _wait_ready(running, ports)
            break
        except WorkbenchError:
            all_free = all(loopback.is_free(port) for port in asdict(ports).values())
            if running.alive or all_free or not tries_left:
                raise
    return running, ports


def _launch(progress: Callable[[str], None], version: str) -> process.Running:
    process.stop_lost(_NAME)  # it may hold the ports
    binary = install_server(progress, version=version)
    ports = choose_ports(_folder())
    return launch(
        _NAME, binary, folder=_folder(), ports=ports, env={"RESTATE_NODE_NAME": "workbench"}
    )


def _wait_ready(running: process.Running, ports: Ports) -> None:
    probe = Probe(ports.ingress_url, ports.admin_url)

    def ready() -> bool:
        return probe.ready() and listens(running, ports.ingress, ports.admin)

    data = _folder() / "data"
    running.wait_ready(ready, advice=f"If its data are damaged, remove {data} and start again.")


def _folder() -> Path:
    return state_dir() / "restate" / "embedded"


# External: its addresses come from the environment


def _find_external() -> Restate:
    """The server at `$RESTATE_INGRESS_URL` and `$RESTATE_ADMIN_URL`.

    One that is not on this machine needs `$RESTATE_AGENT_HOST`, the name under which it reaches
    this machine, and `$AGENT_IDENTITY_KEYS`, for the agent then listens beyond loopback (on the
    host of `$AGENT_BIND`, or all addresses). Raises WorkbenchError for what is missing or amiss.
    """
    ingress_url, admin_url = _url("RESTATE_INGRESS_URL"), _url("RESTATE_ADMIN_URL")
    probe = Probe(ingress_url, admin_url)
    version = probe.version()
    if not probe.healthy():
        raise WorkbenchError(
            f"Restate {version} answers at {admin_url}, but no ingress at {ingress_url}.\n"
            "Correct RESTATE_INGRESS_URL (port 8080)."
        )
    agent_host, agent_bind, identity_keys = _callback_address(admin_url)
    return Restate(
        mode="external",
        version=version,
        ingress_url=ingress_url,
        admin_url=admin_url,
        agent_host=agent_host,
        agent_bind=agent_bind,
        identity_keys=identity_keys,
    )


def _url(variable: str) -> str:
    value = os.environ.get(variable, "").rstrip("/")
    if not value:
        raise WorkbenchError(
            f"RESTATE_MODE=external needs {variable}. Set RESTATE_INGRESS_URL and "
            "RESTATE_ADMIN_URL,\nfor example http://127.0.0.1:8080 and http://127.0.0.1:9070."
        )
    if urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname:
        raise WorkbenchError(f"{variable} is {value!r}; it must begin with http:// or https://.")
    return value


def _callback_address(admin_url: str) -> tuple[str, str, tuple[str, ...]]:
    """The way back for the server: host name, address to listen on, identity keys."""
    host = os.environ.get("RESTATE_AGENT_HOST")
    if not host and loopback.is_loopback(urlsplit(admin_url).hostname or ""):
        return "127.0.0.1", "127.0.0.1", ()
    keys = os.environ.get("AGENT_IDENTITY_KEYS", "")
    needed = {"RESTATE_AGENT_HOST": host, "AGENT_IDENTITY_KEYS": keys}
    if not host or not keys:
        missing = " and ".join(name for name, value in needed.items() if not value)
        raise WorkbenchError(
            f"The Restate server at {admin_url} is not on this machine, so set {missing}:\n"
            "the name under which it reaches this machine, and its public key (publickeyv1_…)."
        )
    bind = os.environ.get("AGENT_BIND", "").rpartition(":")[0] or "0.0.0.0"
    return host, bind, tuple(key.strip() for key in keys.split(",") if key.strip())
