"""Restate in a container, by docker-compose.yml, with the agent outside on this machine.

The engine is asked through its command line. The container reaches this machine through an address
that others may reach too, so the server signs its requests with a key pair of the state folder, and
services refuse those without a signature.
Format: https://docs.restate.dev/services/security#request-identity
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from workbench.restate.install import VERSION
from workbench.restate.server import Ports, Probe, Restate, choose_ports, load_ports
from workbench.state_dir import REPOSITORY, WorkbenchError, is_default, state_dir

_IMAGE = f"docker.restate.dev/restatedev/restate:{VERSION}"
_HOST = "host.docker.internal"  # docker-compose.yml gives containers this name for this machine
_ELSE = "or set RESTATE_MODE=embedded."
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@dataclass(frozen=True, kw_only=True)
class DockerRestate(Restate):
    """A Restate container; its data are in a volume, which stays when the container goes."""

    container: str = field(repr=False)

    def stop(self) -> None:
        """Stop and remove the container."""
        stop_docker()

    def kill(self) -> None:
        """SIGKILL the server in the container."""
        docker("kill", self.container)
        docker("wait", self.container)


@dataclass(frozen=True)
class Engine:
    """A Docker engine that answers."""

    compose: tuple[str, ...]
    """The command that runs compose: v2's `docker compose`, or v1's `docker-compose`."""
    desktop: bool
    """Docker Desktop: containers reach this machine's loopback as host.docker.internal."""


def find_engine(progress: Callable[[str], None] = print, *, limit: float = 5.0) -> Engine:
    """The engine that the docker command talks to; it is given `limit` seconds to answer.

    Raises WorkbenchError saying what is missing: the command, an engine that answers, or compose.
    """
    if shutil.which("docker") is None:
        raise WorkbenchError(f"There is no docker command on the PATH. Install Docker, {_ELSE}")
    try:
        info = json.loads(docker("info", "--format", "{{json .}}", limit=limit, progress=progress))
        if "ServerVersion" not in info and "host" in info:
            raise WorkbenchError("the docker command is podman's")
        if not info.get("ServerVersion"):
            raise WorkbenchError("; ".join(info.get("ServerErrors") or ["no answer"]))
    except (WorkbenchError, OSError, ValueError) as error:
        raise WorkbenchError(f"No Docker engine answers: {error}\nStart Docker, {_ELSE}") from error
    return Engine(
        compose=_find_compose(),
        desktop="Docker Desktop" in info.get("OperatingSystem", ""),
    )


def answering_engine(progress: Callable[[str], None] = print) -> Engine | None:
    """The engine, if one answers within seconds: the question that the mode `auto` asks."""
    with contextlib.suppress(WorkbenchError):
        return find_engine(progress)
    return None


def start_docker(engine: Engine, progress: Callable[[str], None]) -> DockerRestate:
    """Start the container, or find it where it runs."""
    key = private_key_file(_folder())
    ports, container = load_ports(_folder()), _container(_folder())
    if ports is None or container is None:
        ports = choose_ports(_folder())
        container = _up(engine, ports, key, progress)
    probe = Probe(ports.ingress_url, ports.admin_url)
    _wait_ready(container, probe)
    agent_host, agent_bind, identity_keys = _callback_address(engine, container, key)
    return DockerRestate(
        mode="docker",
        version=probe.version(),
        ingress_url=ports.ingress_url,
        admin_url=ports.admin_url,
        agent_host=agent_host,
        agent_bind=agent_bind,
        identity_keys=identity_keys,
        container=container,
    )


def stop_docker(*, remove_volume: bool = False) -> bool:
    """Stop and remove this state folder's container, if there is one; whether it was running."""
    ports = load_ports(_folder())
    if ports is None and not is_default():
        return False
    try:
        engine = find_engine(limit=30.0 if ports else 5.0)
        was_running = _container(_folder()) is not None
    except WorkbenchError:  # no engine, no container
        return False
    if ports or was_running:  # the repository's own folder may have been removed while it ran
        volumes = ["--volumes"] if remove_volume else []
        _compose(engine, ports or Ports(8080, 9070, 5122), "down", "--timeout", "5", *volumes)
    return was_running


def last_log_lines(state: Path, lines: int = 15) -> str:
    """The last lines of the container of the state folder `state`; empty where there is none."""
    folder = state / "restate" / "docker"
    if load_ports(folder) is None:
        return ""
    container = _container(folder, running=False)
    return _log(container, lines) if container else ""


def docker(
    *arguments: str, limit: float = 30.0, progress: Callable[[str], None] | None = None
) -> str:
    """Runs `docker …` and returns its output; after a second `progress` says what it waits for.

    Raises WorkbenchError with its last line of complaint, or after `limit` seconds.
    """
    with subprocess.Popen(
        ["docker", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as asked:
        for seconds in (1.0, limit - 1.0):
            try:
                answer, complaint = asked.communicate(timeout=seconds)
                break
            except subprocess.TimeoutExpired:
                if progress is not None and seconds == 1.0:
                    progress(f"Asking Docker (docker {arguments[0]}, for {limit:g} s at most) …")
        else:
            os.killpg(asked.pid, signal.SIGKILL)  # also what holds its output open
            raise WorkbenchError(f"docker {arguments[0]} does not answer within {limit:g} s.")
    if asked.returncode != 0:
        last = (complaint.strip().splitlines() or ["it does not say why"])[-1]
        raise WorkbenchError(f"docker {arguments[0]} failed: {last}")
    return answer.strip()


def _find_compose() -> tuple[str, ...]:
    with contextlib.suppress(WorkbenchError):
        docker("compose", "version", limit=5.0)
        return ("docker", "compose")
    if shutil.which("docker-compose"):
        return ("docker-compose",)
    raise WorkbenchError(
        f"Docker is here, but neither `docker compose` nor `docker-compose`. Install one, {_ELSE}"
    )


def _container(folder: Path, *, running: bool = True) -> str | None:
    """The id of the Restate container whose files are in `folder`."""
    labels = (f"project={_project(folder)}", "service=restate")
    filters = [f"--filter=label=com.docker.compose.{label}" for label in labels]
    everything = [] if running else ["--all"]
    return docker("ps", "--quiet", "--no-trunc", *everything, *filters) or None


def _log(container: str, lines: int = 15) -> str:
    """The last lines that a container wrote, to stdout and stderr."""
    command = ["docker", "logs", "--tail", str(lines), container]
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    ).stdout.strip()


def _up(engine: Engine, ports: Ports, key: Path, progress: Callable[[str], None]) -> str:
    if not docker("images", "--quiet", _IMAGE):
        progress(f"Pulling {_IMAGE} (about 100 MB)")
        _compose(engine, ports, "pull", "--quiet", "restate")
    key.chmod(0o644)  # for the container's user; the folder is closed to users of this machine
    _compose(engine, ports, "up", "--detach", "restate")
    container = _container(_folder(), running=False)
    if container is None:
        raise WorkbenchError(
            f"Compose has started no `restate` container in {_project(_folder())}."
        )
    return container


def _compose(engine: Engine, ports: Ports, *arguments: str) -> None:
    """Run compose on the repository's files, or on those that `$COMPOSE_FILE` names.

    Raises WorkbenchError with what compose said.
    """
    variables = {
        "RESTATE_INGRESS_PORT": str(ports.ingress),
        "RESTATE_ADMIN_PORT": str(ports.admin),
        "RESTATE_NODE_PORT": str(ports.node),
        "RESTATE_IDENTITY_KEY": str(_key_path(_folder())),
        "RESTATE_WORKER__INVOKER__REQUEST_IDENTITY_PRIVATE_KEY_PEM_FILE": (
            "/run/restate/identity.pem"
        ),
    }
    answer = subprocess.run(
        [*engine.compose, "-p", _project(_folder()), *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        said = "\n".join(answer.stderr.strip().splitlines()[-10:])
        raise WorkbenchError(
            f"`{' '.join(engine.compose)} {arguments[0]}` failed. Mend what it complains of, "
            f"{_ELSE}\n{said}"
        )


def _wait_ready(container: str, probe: Probe, *, timeout: float = 45.0) -> None:
    deadline = time.monotonic() + timeout
    while not probe.ready():
        running = docker("inspect", "--format", "{{.State.Running}}", container) == "true"
        if not running or time.monotonic() > deadline:
            what = f"is not ready after {timeout:g} s" if running else "died while starting"
            raise WorkbenchError(
                f"The Restate container {what}. The end of `docker logs {container[:12]}`:\n"
                f"{_log(container)}"
            )


def _callback_address(
    engine: Engine, container: str, key: Path
) -> tuple[str, str, tuple[str, ...]]:
    """The way back for the container: host name, address to listen on, identity keys."""
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


def _project(folder: Path) -> str:
    """A name that no other state folder's project has, wherever the engine runs."""
    return f"workbench-{hashlib.sha256(str(folder).encode()).hexdigest()[:10]}"


def _folder() -> Path:
    return state_dir() / "restate" / "docker"


# The key pair


def private_key_file(folder: Path) -> Path:
    """The file of the private key (ed25519, PKCS8, PEM) in `folder`, made when missing.

    Only this user can enter the folder; the file itself is readable by this user only.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = _key_path(folder)
    if not path.exists():
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        key = Ed25519PrivateKey.generate()
        path.touch(mode=0o600)
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def public_key(private_key: Path) -> str:
    """The public half, as Restate writes it: `publickeyv1_…`."""
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_private_key,
    )

    key = load_pem_private_key(private_key.read_bytes(), password=None)
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"publickeyv1_{_base58(raw)}"


def _key_path(folder: Path) -> Path:
    return folder / "identity.pem"


def _base58(data: bytes) -> str:
    number, digits = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        digits = _BASE58[digit] + digits
    zeros = len(data) - len(data.lstrip(b"\0"))
    return _BASE58[0] * zeros + digits
