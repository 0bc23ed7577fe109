"""Addresses, ports and readiness, common to all ways of running Restate."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil

from workbench import loopback, process
from workbench.clients import WaitTimeout, wait_until
from workbench.state_dir import WorkbenchError, created, is_default

_DEFAULT_PORTS = {"ingress": 8080, "admin": 9070, "node": 5122}
_GRACE_SECONDS = 1.0  # that a killed server's sockets may take


@dataclass(frozen=True, kw_only=True)
class Restate:
    """A Restate server that answers. `print(restate)` shows where it is."""

    mode: str
    """`embedded`, `docker` or `external`."""
    version: str
    ingress_url: str
    """The URL for calls to services, such as `http://127.0.0.1:8080`."""
    admin_url: str
    """The URL of the admin API, which also answers SQL."""
    agent_host: str = "127.0.0.1"
    """The name under which the server reaches this machine."""
    agent_bind: str = "127.0.0.1"
    """The address that a service on this machine listens on, to be reached under `agent_host`."""
    identity_keys: tuple[str, ...] = ()
    """The server's public keys (`publickeyv1_…`), for a service to refuse all other callers.

    Empty where services listen on loopback.
    """

    @property
    def ui_url(self) -> str:
        """The web page that shows services and invocations."""
        return f"{self.admin_url}/ui"

    def stop(self) -> None:
        """Stop the server, if the workbench started it. Its data stay for the next start."""

    def kill(self) -> None:
        """End the server as a crash would.

        `start_restate()` brings it back on the same ports and data. Raises WorkbenchError for an
        external server.
        """
        raise WorkbenchError(
            "This Restate server is external: the workbench did not start it and won't kill it.\n"
            "Use RESTATE_MODE=embedded or docker for what needs a server to crash."
        )

    def __str__(self) -> str:
        return (
            f"Restate {self.version} ({self.mode}) · ingress {self.ingress_url} · "
            f"admin and UI {self.admin_url}"
        )


class Probe:
    """Asks a server whether it is ready, and which version it is."""

    def __init__(self, ingress_url: str, admin_url: str) -> None:
        self._ingress_url = ingress_url
        self._admin_url = admin_url
        local = loopback.is_loopback(urlsplit(admin_url).hostname or "")
        # No connection is kept, so that nothing has to be closed in the end.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(timeout=5.0, trust_env=not local, limits=limits)

    def healthy(self) -> bool:
        """Whether the ingress answers as Restate's does."""
        try:
            answer = self._client.get(f"{self._ingress_url}/restate/health")
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and "services" in answer.text

    def ready(self) -> bool:
        """Whether a call would be answered now.

        Both health endpoints say 200 before the partitions have leaders, and calls wait until then.
        A query of `sys_invocation` visits every partition, and fails as long as one has no leader.
        """
        return bool(self.rows("SELECT count(*) FROM sys_invocation")) and self.healthy()

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The rows that `sql` selects; none where the server gives no answer."""
        try:
            answer = self._client.post(
                f"{self._admin_url}/query",
                json={"query": sql},
                headers={"accept": "application/json"},
            )
        except httpx.HTTPError:
            return []
        return list(answer.json()["rows"]) if answer.status_code == 200 else []

    def version(self) -> str:
        """The server's version. Raises WorkbenchError if the admin URL is not Restate's."""
        try:
            answer = self._client.get(f"{self._admin_url}/version")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise WorkbenchError(
                f"Nobody answers at {self._admin_url}: {str(error) or type(error).__name__}.\n"
                "Start that server, or correct RESTATE_ADMIN_URL."
            ) from error
        try:
            return str(answer.raise_for_status().json()["version"])
        except (httpx.HTTPStatusError, ValueError, KeyError, TypeError) as error:
            raise WorkbenchError(
                f"{self._admin_url} is not a Restate server's admin API: GET /version gave "
                f"{answer.status_code} and no version.\nCorrect RESTATE_ADMIN_URL (port 9070)."
            ) from error


@dataclass(frozen=True)
class Ports:
    """The ports of one server: ingress, admin API, and cluster nodes."""

    ingress: int
    admin: int
    node: int

    @property
    def ingress_url(self) -> str:
        """The URL of the ingress."""
        return f"http://127.0.0.1:{self.ingress}"

    @property
    def admin_url(self) -> str:
        """The URL of the admin API."""
        return f"http://127.0.0.1:{self.admin}"


def launch(
    name: str, binary: Path, *, folder: Path, ports: Ports, env: Mapping[str, str]
) -> process.Running:
    """Start a server of its own process, on loopback; its data are in `folder`.

    `env` is added to the settings that all servers of the workbench have.
    """
    command = [
        *(str(binary), "--no-logo", "--log-disable-ansi-codes", "true"),
        *("--listen-mode", "tcp"),  # a Unix socket's path may not be as long as a state folder's
        *("--base-dir", str(folder / "data")),
    ]
    # It makes folders in the system's place for temporary files and leaves them behind.
    temporary = folder / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    settings = {
        # It would send the agent's invocations through them; whatever it calls is on this machine.
        **{name: None for name in os.environ if name.upper().endswith("_PROXY")},
        "TMPDIR": str(temporary),
        "RESTATE_BIND_IP": "127.0.0.1",
        "RESTATE_BIND_PORT": str(ports.node),
        "RESTATE_INGRESS__BIND_PORT": str(ports.ingress),
        "RESTATE_ADMIN__BIND_PORT": str(ports.admin),
        "RESTATE_DISABLE_TELEMETRY": "true",
        # A leader has to be found for each of them: 4 are ready in a third of the time of 24.
        "RESTATE_DEFAULT_NUM_PARTITIONS": "4",
        "OPENAI_API_KEY": None,  # the agent's secret is none of the server's business
    }
    return process.start(name, command, env={**settings, **env}, extra=asdict(ports))


def listens(running: process.Running, *ports: int) -> bool:
    """Whether it is this process that has the ports: what answers there may be another server."""
    try:
        connections = psutil.Process(running.pid).net_connections("tcp")
    except psutil.Error:
        return False
    listening = {each.laddr[1] for each in connections if each.status == psutil.CONN_LISTEN}
    return listening.issuperset(ports)


def choose_ports(folder: Path) -> Ports:
    """The ports for the server whose files are in `folder`; remembered there.

    In this order: `$RESTATE_INGRESS_PORT`, `$RESTATE_ADMIN_PORT` and `$RESTATE_NODE_PORT`; those of
    the last start, where they are free; Restate's defaults in the repository's own state folder,
    where they are free; any free ones. Another state folder does not take the defaults, which may
    belong to a server that is killed and about to come back. Raises WorkbenchError when a port of
    the environment is taken.
    """
    last = load_ports(folder)
    ports = {name: _choose_port(name, getattr(last, name, None)) for name in _DEFAULT_PORTS}
    (created(folder, private=True) / "ports.json").write_text(json.dumps(ports))
    return Ports(**ports)


def load_ports(folder: Path) -> Ports | None:
    """The ports of the last start of the server whose files are in `folder`."""
    try:
        return Ports(**json.loads((folder / "ports.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _choose_port(name: str, last: int | None) -> int:
    variable = f"RESTATE_{name.upper()}_PORT"
    asked = os.environ.get(variable)
    if not asked:
        if last and free_soon(last):
            return last
        return loopback.free_port(_DEFAULT_PORTS[name] if is_default() else None)
    if not (asked.isdecimal() and 0 < int(asked) < 65536):
        raise WorkbenchError(f"{variable} is {asked!r}, which is not a port number (1 to 65535).")
    if not free_soon(int(asked)):
        raise WorkbenchError(
            f"Restate's {name} port {asked} is taken by {loopback.port_holder(int(asked))}.\n"
            f"Stop that program, set {variable} to another port, or unset it to get a free one."
        )
    return int(asked)


def free_soon(port: int) -> bool:
    """Whether a port is free, or becomes so in the moment that a killed server's sockets take."""
    try:
        return wait_until(lambda: loopback.is_free(port), what="the port", timeout=_GRACE_SECONDS)
    except WaitTimeout:
        return False
