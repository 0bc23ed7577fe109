"""Addresses, ports and readiness, common to all ways of running Restate."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from workbench import loopback
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
        try:
            answer = self._client.post(
                f"{self._admin_url}/query",
                json={"query": "SELECT count(*) FROM sys_invocation"},
                headers={"accept": "application/json"},
            )
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and self.healthy()

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
        if last and _free_soon(last):
            return last
        return loopback.free_port(_DEFAULT_PORTS[name] if is_default() else None)
    if not (asked.isdecimal() and 0 < int(asked) < 65536):
        raise WorkbenchError(f"{variable} is {asked!r}, which is not a port number (1 to 65535).")
    if not _free_soon(int(asked)):
        raise WorkbenchError(
            f"Restate's {name} port {asked} is taken by {loopback.port_holder(int(asked))}.\n"
            f"Stop that program, set {variable} to another port, or unset it to get a free one."
        )
    return int(asked)


def _free_soon(port: int) -> bool:
    try:
        return wait_until(lambda: loopback.is_free(port), what="the port", timeout=_GRACE_SECONDS)
    except WaitTimeout:
        return False
