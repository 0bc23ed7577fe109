"""Restate as a plain process: one static binary, no container, nothing to administer."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from workbench import process
from workbench.errors import WorkbenchError
from workbench.home import home
from workbench.restate.install import VERSION, install_server
from workbench.restate.ports import Ports, choose_ports
from workbench.restate.server import Probe, Restate

_NAME = "restate"


@dataclass(frozen=True, kw_only=True)
class EmbeddedRestate(Restate):
    """The server's binary as a child process; its data are in the workbench's home."""

    process: process.Running = field(repr=False)

    def stop(self) -> None:
        """Stop the server; its data stay."""
        self.process.stop()

    def kill(self) -> None:
        """SIGKILL the server."""
        self.process.kill()


def is_running() -> bool:
    """Whether this home's embedded server runs."""
    return process.find(_NAME) is not None


def start_embedded(progress: Callable[[str], None], version: str | None = None) -> EmbeddedRestate:
    """Start the server, or find it where it runs.

    Raises WorkbenchError when another one runs than the `version` that is asked for.
    """
    running = process.find(_NAME) or _start(progress, version or VERSION)
    ports = Ports(**running.extra)
    with Probe(ports.ingress_url, ports.admin_url) as probe:
        running.wait_ready(
            probe.ready, advice=f"If its data are damaged, remove {_folder()} and start again."
        )
        found = probe.version()
    if version not in (None, found):
        raise WorkbenchError(
            f"Restate {found} runs in {_folder().parent.parent}, and not {version}.\n"
            "Stop it first, or set WORKBENCH_HOME to another folder."
        )
    return EmbeddedRestate(
        mode="embedded",
        version=found,
        ingress_url=ports.ingress_url,
        admin_url=ports.admin_url,
        process=running,
    )


def _start(progress: Callable[[str], None], version: str) -> process.Running:
    binary = install_server(progress, version=version)
    ports = choose_ports(_folder())
    command = [
        *(str(binary), "--no-logo", "--log-disable-ansi-codes", "true"),
        *("--listen-mode", "tcp"),  # a Unix socket's path may not be as long as a home's
        *("--base-dir", str(_folder() / "data"), "--node-name", "workbench"),
    ]
    # It makes folders in the system's place for temporary files and leaves them behind.
    temporary = _folder() / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    env = {
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
    return process.start(_NAME, command, env=env, extra=vars(ports))


def _folder() -> Path:
    return home() / "restate" / "embedded"
