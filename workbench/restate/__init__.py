"""Restate, by whichever way this machine offers: Docker, the server's own binary, or elsewhere."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from workbench.errors import WorkbenchError
from workbench.home import exclusive
from workbench.restate import docker, embedded, external
from workbench.restate.engine import Engine, find_engine
from workbench.restate.install import VERSION, install_server
from workbench.restate.seen import remember
from workbench.restate.server import Restate

__all__ = ["VERSION", "Restate", "install_server", "start_restate"]

_MODES = ("auto", "docker", "embedded", "external")


def start_restate(
    mode: str | None = None,
    *,
    version: str | None = None,
    progress: Callable[[str], None] = print,
) -> Restate:
    """Start a Restate server, or find the one that this home's last start left running.

    `mode` is `docker`, `embedded`, `external` or `auto`; without it, `$RESTATE_MODE`; without that,
    `auto`: Docker if an engine answers, else embedded. `version` is a released server's, where it
    shall be another one than the series is written against; that goes with `embedded` only.
    `progress` is given a line for each step that takes long (an installation, a download). Raises
    WorkbenchError that names the fix.
    """
    mode = mode or os.environ.get("RESTATE_MODE") or "auto"
    if mode not in _MODES:
        where = "" if mode != os.environ.get("RESTATE_MODE") else " in RESTATE_MODE"
        raise WorkbenchError(
            f"Unknown Restate mode {mode!r}{where}; valid are {', '.join(_MODES)}."
        )
    if version is not None and mode != "embedded":
        raise WorkbenchError(f"Restate {version} can be had in the mode embedded, not {mode}.")
    restate = _start(mode, version, progress)
    remember(restate)
    return restate


def _start(mode: str, version: str | None, progress: Callable[[str], None]) -> Restate:
    if mode == "external":
        return external.find_external()
    with exclusive("restate", timeout=900):
        found = _engine(mode)
        if found is not None:
            return docker.start_docker(found, progress)
        return embedded.start_embedded(progress, version)


def _engine(mode: str) -> Engine | None:
    if mode == "docker":
        return find_engine()
    if mode == "auto" and not embedded.is_running():
        with contextlib.suppress(WorkbenchError):
            return find_engine()
    return None
