"""Restate in Docker, wherever an engine answers.

An engine without a bridge network cannot publish ports; there the container shares the host's
network, through tests/compose.host.yml.
"""

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import restate as sdk

from workbench.restate import VERSION, Restate, start_restate
from workbench.restate.docker import Engine, docker, find_engine, public_key
from workbench.serve import serve_here
from workbench.state_dir import REPOSITORY, WorkbenchError, state_dir
from workbench.stop_all import stop_all

echo = sdk.Service("EchoFromDocker")


@echo.handler()
async def say(ctx: sdk.Context, text: str) -> str:
    return text


def _engine() -> Engine | str:
    try:
        return find_engine()
    except WorkbenchError as error:
        return str(error).splitlines()[0]


ENGINE = _engine()
pytestmark = pytest.mark.skipif(isinstance(ENGINE, str), reason=str(ENGINE))


@pytest.fixture(scope="module", autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home, and so a compose project, for this file; container and volume go in the end."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("RESTATE_", "AGENT_", "COMPOSE_")):
                patch.delenv(name)
        patch.setenv("WORKBENCH_HOME", str(tmp_path_factory.mktemp("home")))
        if not has_bridge():
            patch.setenv("COMPOSE_FILE", "docker-compose.yml:tests/compose.host.yml")
        before = volumes()
        yield state_dir()
        stop_all()
        for volume in volumes() - before:
            docker("volume", "rm", volume)


@pytest.fixture(scope="module")
def restate() -> Restate:
    return start_restate("docker")


def has_bridge() -> bool:
    try:
        docker("network", "inspect", "bridge")
    except WorkbenchError:
        return False
    return True


def volumes() -> set[str]:
    return set(docker("volume", "ls", "--quiet").split())


def register(restate: Restate, uri: str) -> None:
    answer = httpx.post(f"{restate.admin_url}/deployments", json={"uri": uri}, timeout=10)
    answer.raise_for_status()


def call(restate: Restate, text: str) -> str:
    answer = httpx.post(f"{restate.ingress_url}/EchoFromDocker/say", json=text, timeout=10)
    return str(answer.raise_for_status().json())


def test_it_is_found_again(restate: Restate) -> None:
    assert (restate.mode, restate.version) == ("docker", VERSION)
    assert start_restate("docker") == restate


def test_auto_prefers_it(restate: Restate) -> None:
    assert start_restate() == restate


def test_it_reaches_services_on_this_machine(restate: Restate) -> None:
    with serve_here(echo, restate=restate) as served:
        register(restate, served.uri)
        assert call(restate, "hello") == "hello"
        if restate.agent_bind not in ("127.0.0.1", "localhost"):
            unsigned = f"http://{restate.agent_bind}:{served.port}/discover"
            assert httpx.get(unsigned).status_code == 401


def test_after_a_kill_it_comes_back_on_the_same_ports_and_data(restate: Restate) -> None:
    with serve_here(echo, restate=restate, name="after a kill") as served:
        register(restate, served.uri)
        restate.kill()
        with pytest.raises(httpx.TransportError):
            call(restate, "gone")
        again = start_restate("docker")
        assert (again.ingress_url, again.admin_url) == (restate.ingress_url, restate.admin_url)
        assert call(again, "back") == "back"


def test_stop_removes_the_container_and_keeps_the_data(restate: Restate) -> None:
    with serve_here(echo, restate=restate, name="after a stop") as served:
        register(restate, served.uri)
        assert stop_all() == ["restate (docker)"]
        assert stop_all() == []
        restate.stop()  # nothing happens the second time
        assert call(start_restate("docker"), "back") == "back"


def test_the_server_signs_with_the_key_of_this_home(restate: Restate, own_home: Path) -> None:
    key = own_home / "restate" / "docker" / "identity.pem"
    assert key.parent.stat().st_mode & 0o077 == 0
    container = docker("ps", "--quiet", "--filter", f"volume={key}")
    log = subprocess.run(
        ["docker", "logs", container], capture_output=True, text=True, check=True
    ).stdout
    assert public_key(key) in log


def test_a_container_that_dies_shows_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    override = tmp_path / "broken.yml"
    override.write_text("services: {restate: {environment: {RESTATE_ROLES: nonsense}}}")
    files = os.environ.get("COMPOSE_FILE", "docker-compose.yml:docker-compose.override.yml")
    monkeypatch.setenv("COMPOSE_FILE", f"{files}:{override}")
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    try:
        with pytest.raises(
            WorkbenchError, match=r"(?s)died while starting.*expected a list of Role"
        ):
            start_restate("docker")
    finally:
        stop_all()


def test_compose_complains_of_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPOSE_FILE", str(tmp_path / "none.yml"))
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    with pytest.raises(WorkbenchError, match=r"compose up` failed.*\n(?s:.*)none.yml"):
        start_restate("docker")


def test_a_port_that_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("RESTATE_INGRESS_PORT", str(port))
        with pytest.raises(WorkbenchError, match=f"Restate's ingress port {port} is taken by"):
            start_restate("docker")


def test_ports_are_published_on_loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMPOSE_FILE", raising=False)
    monkeypatch.setenv("RESTATE_IDENTITY_KEY", "/key")
    assert isinstance(ENGINE, Engine)
    config = subprocess.run(
        [*ENGINE.compose, "config"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert VERSION in config
    ports = (REPOSITORY / "docker-compose.override.yml").read_text()
    published = re.findall(r"- (.*):\d+$", ports, re.MULTILINE)
    assert len(published) == 2
    assert all(address.startswith("127.0.0.1:") for address in published)
