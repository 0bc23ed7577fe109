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

from workbench.lesson import stop_all
from workbench.restate import VERSION, Restate, start_restate
from workbench.restate.docker import Engine, docker, find_engine, public_key
from workbench.serve import serve_here
from workbench.state_dir import REPOSITORY, WorkbenchError, state_dir

echo = sdk.Service("EchoFromDocker")


@echo.handler()
async def say(ctx: sdk.Context, text: str) -> str:
    return text


def _engine() -> Engine | str:
    try:
        return find_engine(lambda line: None)
    except WorkbenchError as error:
        return str(error).splitlines()[0]


ENGINE = _engine()
pytestmark = pytest.mark.skipif(isinstance(ENGINE, str), reason=str(ENGINE))


@pytest.fixture(scope="module", autouse=True)
def own_state_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder, and so a compose project, for this file; its volume goes in the end."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("RESTATE_", "AGENT_", "COMPOSE_")):
                patch.delenv(name)
        patch.setenv("WORKBENCH_HOME", str(tmp_path_factory.mktemp("state")))
        if "bridge" not in docker("network", "ls", "--format", "{{.Name}}").split():
            patch.setenv("COMPOSE_FILE", "docker-compose.yml:tests/compose.host.yml")
        yield state_dir()
        stop_all(remove_volume=True)


@pytest.fixture(scope="module")
def restate() -> Restate:
    return start_restate("docker")


def compose(*arguments: str) -> str:
    assert isinstance(ENGINE, Engine)
    command = [*ENGINE.compose, *arguments]
    return subprocess.run(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def register(restate: Restate, uri: str) -> None:
    answer = httpx.post(f"{restate.admin_url}/deployments", json={"uri": uri}, timeout=10)
    answer.raise_for_status()


def call(restate: Restate, text: str) -> str:
    answer = httpx.post(f"{restate.ingress_url}/EchoFromDocker/say", json=text, timeout=10)
    return str(answer.raise_for_status().json())


def test_it_is_found_again_and_preferred(restate: Restate) -> None:
    assert (restate.mode, restate.version) == ("docker", VERSION)
    assert start_restate("docker") == start_restate() == restate


def test_it_signs_what_it_sends_to_services_on_this_machine(
    restate: Restate, own_state_dir: Path
) -> None:
    key = own_state_dir / "restate" / "docker" / "identity.pem"
    assert key.parent.stat().st_mode & 0o077 == 0
    container = docker("ps", "--quiet", "--filter", f"volume={key}")
    log = subprocess.run(["docker", "logs", container], stdout=subprocess.PIPE, check=True).stdout
    assert public_key(key) in log.decode()
    with serve_here(echo, restate=restate) as served:
        register(restate, served.uri)
        assert call(restate, "hello") == "hello"
        if restate.agent_bind not in ("127.0.0.1", "localhost"):
            unsigned = f"http://{restate.agent_bind}:{served.port}/discover"
            assert httpx.get(unsigned).status_code == 401


def test_after_a_kill_and_a_stop_it_comes_back_on_the_same_ports_and_data(
    restate: Restate,
) -> None:
    with serve_here(echo, restate=restate, name="again") as served:
        register(restate, served.uri)
        restate.kill()
        with pytest.raises(httpx.TransportError):
            call(restate, "gone")
        again = start_restate("docker")
        assert (again.ingress_url, again.admin_url) == (restate.ingress_url, restate.admin_url)
        assert call(again, "back") == "back"
        assert stop_all() == ["restate (docker)"]
        assert stop_all() == []
        restate.stop()  # nothing happens the second time
        assert call(start_restate("docker"), "back") == "back"


def test_a_start_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "state"))
    with socket.create_server(("127.0.0.1", 0)) as taken, monkeypatch.context() as patch:
        port = taken.getsockname()[1]
        patch.setenv("RESTATE_INGRESS_PORT", str(port))
        with pytest.raises(WorkbenchError, match=f"Restate's ingress port {port} is taken by"):
            start_restate("docker")
    override = tmp_path / "broken.yml"
    override.write_text("services: {restate: {environment: {RESTATE_ROLES: nonsense}}}")
    files = os.environ.get("COMPOSE_FILE", "docker-compose.yml:docker-compose.override.yml")
    monkeypatch.setenv("COMPOSE_FILE", f"{files}:{override}")
    try:
        with pytest.raises(
            WorkbenchError, match=r"(?s)died while starting.*expected a list of Role"
        ):
            start_restate("docker")
    finally:
        stop_all(remove_volume=True)
    monkeypatch.setenv("COMPOSE_FILE", str(tmp_path / "none.yml"))
    with pytest.raises(WorkbenchError, match=r"compose up` failed.*\n(?s:.*)none.yml"):
        start_restate("docker")


def test_as_one_would_type_it_compose_works_and_publishes_on_loopback_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.delenv("COMPOSE_FILE", raising=False)
        config = compose("config")
    assert VERSION in config
    assert "PRIVATE_KEY_PEM_FILE: /" not in config
    ports = (REPOSITORY / "docker-compose.override.yml").read_text()
    published = re.findall(r"- (.*):\d+$", ports, re.MULTILINE)
    assert len(published) == 2 + 3 * 2  # the server, and the three of the cluster
    assert all(address.startswith("127.0.0.1:") for address in published)
