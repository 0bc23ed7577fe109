"""Restate in a container, by docker-compose.yml, with the agent outside on this machine."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.home import home
from workbench.restate.engine import Engine, container_log, docker, find_engine
from workbench.restate.identity import key_path, private_key_file, public_key
from workbench.restate.install import VERSION
from workbench.restate.ports import Ports, choose_ports, load_ports
from workbench.restate.server import Probe, Restate

_IMAGE = f"docker.restate.dev/restatedev/restate:{VERSION}"
_HOST = "host.docker.internal"  # docker-compose.yml gives containers this name for this machine


@dataclass(frozen=True, kw_only=True)
class DockerRestate(Restate):
    """A Restate container; its data are in a volume, which stays when the container goes."""

    container: str = field(repr=False)
    folder: Path = field(repr=False)

    def stop(self) -> None:
        """Stop and remove the container."""
        _down(self.folder)

    def kill(self) -> None:
        """SIGKILL the server in the container."""
        docker("kill", self.container)
        docker("wait", self.container)


def start_docker(engine: Engine, progress: Callable[[str], None]) -> DockerRestate:
    """Start the container, or find it where it runs."""
    folder = _folder()
    key = private_key_file(folder)
    ports, container = load_ports(folder), engine.container(_project(folder))
    if ports is None or container is None:
        ports = choose_ports(folder)
        container = _up(engine, folder, ports, progress)
    with Probe(ports.ingress_url, ports.admin_url) as probe:
        _wait_ready(container, probe)
        version = probe.version()
    agent_host, agent_bind, identity_keys = _way_back(engine, container, key)
    return DockerRestate(
        mode="docker",
        version=version,
        ingress_url=ports.ingress_url,
        admin_url=ports.admin_url,
        agent_host=agent_host,
        agent_bind=agent_bind,
        identity_keys=identity_keys,
        container=container,
        folder=folder,
    )


def stop_docker(*, remove_volume: bool = False) -> bool:
    """Stop and remove this home's container, if there is one; whether it was running."""
    return _down(_folder(), remove_volume=remove_volume)


def last_log_lines(home: Path, lines: int = 15) -> str:
    """The last lines of the container of a home, running or not; empty where there is none."""
    folder = home / "restate" / "docker"
    if load_ports(folder) is None:
        return ""
    container = find_engine().container(_project(folder), running=False)
    return container_log(container, lines) if container else ""


def _down(folder: Path, *, remove_volume: bool = False) -> bool:
    ports = load_ports(folder)
    if ports is None:
        return False
    try:
        engine = find_engine()
    except WorkbenchError:  # no engine, no container
        return False
    project = _project(folder)
    was_running = engine.container(project) is not None
    volumes = ["--volumes"] if remove_volume else []
    variables = _variables(ports, key_path(folder))
    engine.compose_run(project, variables, "down", "--timeout", "5", *volumes)
    return was_running


def _up(engine: Engine, folder: Path, ports: Ports, progress: Callable[[str], None]) -> str:
    project, key = _project(folder), key_path(folder)
    variables = _variables(ports, key)
    if _image_user() is None:
        progress(f"Pulling {_IMAGE} (about 100 MB)")
        engine.compose_run(project, variables, "pull", "--quiet", "restate")
    # The server must be able to read the key as the user that it runs as in the container; the
    # folder is closed to other users of this machine either way.
    reads_as_us = _image_user() in ("", "0", "root") and not engine.remaps_users
    key.chmod(0o600 if reads_as_us else 0o644)
    engine.compose_run(project, variables, "up", "--detach", "restate")
    container = engine.container(project, running=False)
    if container is None:
        raise WorkbenchError(f"Compose has started no `restate` container in {project}.")
    return container


def _wait_ready(container: str, probe: Probe, *, timeout: float = 45.0) -> None:
    deadline = time.monotonic() + timeout
    while not probe.ready():
        running = docker("inspect", "--format", "{{.State.Running}}", container) == "true"
        if not running or time.monotonic() > deadline:
            what = f"is not ready after {timeout:g} s" if running else "died while starting"
            raise WorkbenchError(
                f"The Restate container {what}. The end of `docker logs {container[:12]}`:\n"
                f"{container_log(container)}"
            )


def _way_back(engine: Engine, container: str, key: Path) -> tuple[str, str, tuple[str, ...]]:
    """How the container reaches this machine: name, address to listen on, identity keys."""
    network = docker("inspect", "--format", "{{.HostConfig.NetworkMode}}", container)
    if network == "host":
        return "127.0.0.1", "127.0.0.1", ()
    if engine.desktop:  # it forwards the name to this machine's loopback
        return _HOST, "127.0.0.1", ()
    return _HOST, _gateway(), (public_key(key),)


def _gateway() -> str:
    """This machine's address on Docker's bridge, which `host-gateway` stands for.

    All addresses where the bridge is not on this machine (an engine in a virtual machine).
    """
    gateways = "{{range .IPAM.Config}}{{.Gateway}} {{end}}"
    for address in docker("network", "inspect", "bridge", "--format", gateways).split():
        with socket.socket() as probe:
            try:
                probe.bind((address, 0))
            except OSError:
                continue
            return address
    return "0.0.0.0"


def _image_user() -> str | None:
    """The user that the image runs as, empty for root; None when the image is not here."""
    try:
        return docker("image", "inspect", "--format", "{{.Config.User}}", _IMAGE)
    except WorkbenchError:
        return None


def _variables(ports: Ports, key: Path) -> dict[str, str]:
    """What docker-compose.yml leaves open."""
    return {
        "RESTATE_INGRESS_PORT": str(ports.ingress),
        "RESTATE_ADMIN_PORT": str(ports.admin),
        "RESTATE_NODE_PORT": str(ports.node),
        "RESTATE_IDENTITY_KEY": str(key),
    }


def _folder() -> Path:
    return home() / "restate" / "docker"


def _project(folder: Path) -> str:
    """A name that no other home's project has, wherever the engine runs."""
    return f"workbench-{hashlib.sha256(str(folder).encode()).hexdigest()[:10]}"
