"""The Docker engine, through its command line: is it there, and what runs in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from workbench.errors import WorkbenchError
from workbench.home import REPOSITORY

_ELSE = "or set RESTATE_MODE=embedded."


@dataclass(frozen=True)
class Engine:
    """A Docker engine that answers."""

    compose: tuple[str, ...]
    """The command that runs compose: v2's `docker compose`, or v1's `docker-compose`."""
    desktop: bool
    """Docker Desktop: containers reach this machine's loopback as host.docker.internal."""
    remaps_users: bool
    """Whether root in a container is another user on this machine."""

    def container(self, project: str, *, running: bool = True) -> str | None:
        """The id of the project's Restate container."""
        labels = (f"project={project}", "service=restate")
        filters = [f"--filter=label=com.docker.compose.{label}" for label in labels]
        everything = [] if running else ["--all"]
        return docker("ps", "--quiet", "--no-trunc", *everything, *filters) or None

    def compose_run(self, project: str, env: Mapping[str, str], *arguments: str) -> None:
        """Run compose on the repository's files, or on those that `$COMPOSE_FILE` names.

        Raises WorkbenchError with what compose said.
        """
        answer = subprocess.run(
            [*self.compose, "-p", project, *arguments],
            cwd=REPOSITORY,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode != 0:
            said = "\n".join(answer.stderr.strip().splitlines()[-10:])
            raise WorkbenchError(
                f"`{' '.join(self.compose)} {arguments[0]}` failed. Mend what it complains of, "
                f"{_ELSE}\n{said}"
            )


def find_engine() -> Engine:
    """The engine that the docker command talks to.

    Raises WorkbenchError saying what is missing: the command, an engine that answers, or compose.
    """
    if shutil.which("docker") is None:
        raise WorkbenchError(f"There is no docker command on the PATH. Install Docker, {_ELSE}")
    try:
        info = json.loads(docker("info", "--format", "{{json .}}"))
        if not info.get("ServerVersion"):
            raise WorkbenchError("; ".join(info.get("ServerErrors") or ["no answer"]))
    except (WorkbenchError, ValueError) as error:
        raise WorkbenchError(f"No Docker engine answers: {error}\nStart Docker, {_ELSE}") from error
    return Engine(
        compose=_find_compose(),
        desktop="Docker Desktop" in info.get("OperatingSystem", ""),
        remaps_users=any("name=userns" in item for item in info.get("SecurityOptions") or []),
    )


def docker(*arguments: str) -> str:
    """What `docker …` prints. Raises WorkbenchError with its last line of complaint."""
    try:
        answer = subprocess.run(
            ["docker", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    except subprocess.TimeoutExpired as error:
        raise WorkbenchError(f"docker {arguments[0]} does not answer within 30 s.") from error
    if answer.returncode != 0:
        complaint = (answer.stderr.strip().splitlines() or ["it does not say why"])[-1]
        raise WorkbenchError(f"docker {arguments[0]} failed: {complaint}")
    return answer.stdout.strip()


def container_log(container: str, lines: int = 15) -> str:
    """The last lines that a container wrote, to stdout and stderr."""
    command = ["docker", "logs", "--tail", str(lines), container]
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    ).stdout.strip()


def _find_compose() -> tuple[str, ...]:
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if plugin.returncode == 0:
        return ("docker", "compose")
    if shutil.which("docker-compose"):
        return ("docker-compose",)
    raise WorkbenchError(
        f"Docker is here, but neither `docker compose` nor `docker-compose`. Install one, {_ELSE}"
    )
