"""A Restate server that someone else runs: its addresses come from the environment."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from workbench.errors import WorkbenchError
from workbench.restate.server import Probe, Restate


@dataclass(frozen=True, kw_only=True)
class ExternalRestate(Restate):
    """A server that the workbench did not start, and so does not end."""

    def stop(self) -> None:
        """Leave the server alone."""

    def kill(self) -> None:
        """Refuse, with WorkbenchError."""
        raise WorkbenchError(
            "This Restate server is external: the workbench did not start it and won't kill it.\n"
            "Use RESTATE_MODE=embedded or docker for what needs a server to crash."
        )


def find_external() -> ExternalRestate:
    """The server at `$RESTATE_INGRESS_URL` and `$RESTATE_ADMIN_URL`.

    One that is not on this machine needs `$RESTATE_AGENT_HOST`, the name under which it reaches
    this machine, and `$AGENT_IDENTITY_KEYS`, for the agent then listens beyond loopback (on the
    host of `$AGENT_BIND`, or all addresses). Raises WorkbenchError for what is missing or amiss.
    """
    ingress_url, admin_url = _url("RESTATE_INGRESS_URL"), _url("RESTATE_ADMIN_URL")
    with Probe(ingress_url, admin_url, trust_env=True) as probe:
        version = probe.version()
        if not probe.healthy():
            raise WorkbenchError(
                f"Restate {version} answers at {admin_url}, but no ingress at {ingress_url}.\n"
                "Correct RESTATE_INGRESS_URL (port 8080)."
            )
    agent_host, agent_bind, identity_keys = _way_back(admin_url)
    return ExternalRestate(
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


def _way_back(admin_url: str) -> tuple[str, str, tuple[str, ...]]:
    """How the server reaches this machine: name, address to listen on, identity keys."""
    host = os.environ.get("RESTATE_AGENT_HOST")
    if not host and _is_loopback(urlsplit(admin_url).hostname or ""):
        return "127.0.0.1", "127.0.0.1", ()
    keys = os.environ.get("AGENT_IDENTITY_KEYS", "")
    if not host or not keys:
        missing = " and ".join(
            name
            for name, value in (("RESTATE_AGENT_HOST", host), ("AGENT_IDENTITY_KEYS", keys))
            if not value
        )
        raise WorkbenchError(
            f"The Restate server at {admin_url} is not on this machine, so set {missing}:\n"
            "the name under which it reaches this machine, and its public key (publickeyv1_…)."
        )
    bind = os.environ.get("AGENT_BIND", "").rpartition(":")[0] or "0.0.0.0"
    return host, bind, tuple(key.strip() for key in keys.split(",") if key.strip())


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
