"""The server's ports, which stay the same for a home: whoever is told an address may keep it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from workbench import home, ports
from workbench.clients import WaitTimeout, wait_until
from workbench.errors import WorkbenchError

_DEFAULTS = {"ingress": 8080, "admin": 9070, "node": 5122}
_GRACE_SECONDS = 1.0


@dataclass(frozen=True)
class Ports:
    """Where one server listens: calls, management, and what cluster nodes tell each other."""

    ingress: int
    admin: int
    node: int

    @property
    def ingress_url(self) -> str:
        """Where services are called."""
        return f"http://127.0.0.1:{self.ingress}"

    @property
    def admin_url(self) -> str:
        """Where the server is managed."""
        return f"http://127.0.0.1:{self.admin}"


def choose_ports(folder: Path) -> Ports:
    """The ports for the server whose files are in `folder`; remembered there.

    In this order: `$RESTATE_INGRESS_PORT`, `$RESTATE_ADMIN_PORT` and `$RESTATE_NODE_PORT`; those of
    the last start; Restate's defaults in the repository's own home, where they are free; any free
    ones. Another home does not take the defaults, lest it take them from a server that is killed
    and about to come back. Raises WorkbenchError when an asked for or remembered port is taken.
    """
    remembered = load_ports(folder)
    chosen = Ports(
        **{
            name: _choose(name, default, getattr(remembered, name, None), folder)
            for name, default in _DEFAULTS.items()
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    _file(folder).write_text(json.dumps(asdict(chosen)))
    return chosen


def load_ports(folder: Path) -> Ports | None:
    """The ports of the last start."""
    try:
        return Ports(**json.loads(_file(folder).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _choose(name: str, default: int, remembered: int | None, folder: Path) -> int:
    variable = f"RESTATE_{name.upper()}_PORT"
    asked = os.environ.get(variable)
    if asked and not (asked.isdecimal() and 0 < int(asked) < 65536):
        raise WorkbenchError(f"{variable} is {asked!r}, which is not a port number (1 to 65535).")
    port = int(asked) if asked else remembered
    if port is None:
        return ports.free_port(default if home.is_default() else None)
    if not _free_soon(port):
        other = f"set {variable} to another port" if asked else f"remove {_file(folder)}"
        raise WorkbenchError(
            f"Restate's {name} port {port} is taken by {ports.holder(port)}.\n"
            f"Stop that program, or {other}."
        )
    return port


def _free_soon(port: int) -> bool:
    """Whether a port is free, or is within the moment that a killed server's sockets may take."""
    try:
        return wait_until(lambda: ports.is_free(port), what="the port", timeout=_GRACE_SECONDS)
    except WaitTimeout:
        return False


def _file(folder: Path) -> Path:
    return folder / "ports.json"
