"""Restate without Docker: embedded and external, what it remembers, what bad conditions get."""

import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest
import restate as sdk

from workbench import Admin, Ingress, loopback, process
from workbench.lesson import stop_all
from workbench.restate import VERSION, Restate, start_restate
from workbench.restate.docker import private_key_file, public_key
from workbench.serve import serve_here
from workbench.state_dir import WorkbenchError

echo = sdk.Service("Echo")


@echo.handler()
async def say(ctx: sdk.Context, text: str) -> str:
    return text


@pytest.fixture(autouse=True)
def own_state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in os.environ:
        if name.startswith(("RESTATE_", "AGENT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "state"))
    yield tmp_path / "state"
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
    answer = httpx.get(f"{restate.admin_url}/deployments", trust_env=False).json()
    return [deployment["uri"].rstrip("/") for deployment in answer["deployments"]]


def register(restate: Restate, uri: str) -> None:
    with Admin(restate, echo=lambda line: None) as admin:
        admin.register(uri)


def call(restate: Restate, text: str) -> str:
    with Ingress(restate, echo=lambda line: None) as ingress:
        return str(ingress.call("Echo", "say", text))


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


# Embedded


def test_it_is_ready_when_start_returns_and_on_loopback_only(
    server: Restate, own_state_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    restate = start_restate("embedded")
    assert restate.admin_url != server.admin_url  # that of another state folder
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
    restate.stop()
    assert not list((tmp_path / "tmp").iterdir())  # nothing is left in the system's folder


def test_after_a_kill_and_a_stop_it_comes_back_on_the_same_ports_and_data() -> None:
    before = start_restate("embedded")
    with serve_here(echo) as served:
        register(before, served.uri)
        for way in ("kill", "stop"):
            end = getattr(before, way)
            end()
            assert process.find("restate") is None
            end()  # nothing happens the second time
            before = start_restate("embedded")
            assert deployments(before) == [served.uri]
            assert call(before, "still here") == "still here"


def test_loopback_goes_through_no_proxy(
    another_kernel: Callable[[str], tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        for variable in (name, name.lower()):
            scheme = "socks5" if name == "ALL_PROXY" else "http"
            monkeypatch.setenv(variable, f"{scheme}://127.0.0.1:1")
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
    restate = start_restate("embedded")
    with serve_here(echo) as served:
        register(restate, served.uri)
        assert call(restate, "hello") == "hello"
    assert external(monkeypatch, restate.ingress_url, restate.admin_url).version == VERSION
    said = another_kernel(
        "import workbench; from urllib.request import urlopen;"
        f"print(urlopen('{restate.admin_url}/version').status)"
    )
    assert said == ("200\n", "")


def test_when_the_state_folder_was_removed_a_new_server_takes_over(own_state_dir: Path) -> None:
    before = start_restate("embedded")
    with serve_here(echo) as served:
        register(before, served.uri)
    shutil.rmtree(own_state_dir)
    assert deployments(start_restate("embedded")) == []
    with pytest.raises(httpx.ConnectError):
        deployments(before)


def test_two_kernels_that_start_at_once_share_one_server_of_one_version(
    another_kernel: Callable[[str], tuple[str, str]],
) -> None:
    start = (
        "from workbench import process; from workbench.restate import start_restate;"
        "start_restate('embedded'); print(process.find('restate').pid)"
    )
    with ThreadPoolExecutor() as two:
        said = list(two.map(another_kernel, [start, start]))
    running = process.find("restate")
    assert running is not None  # it outlives the kernel that started it
    assert [printed for printed, _ in said] == [f"{running.pid}\n"] * 2

    with pytest.raises(WorkbenchError, match=f"Restate {VERSION} runs in .*, and not 1.7.2"):
        start_restate("embedded", version="1.7.2")
    with pytest.raises(WorkbenchError, match=r"Restate 1\.7\.2 can be had in the mode embedded"):
        start_restate("docker", version="1.7.2")
    start_restate("embedded", version=VERSION)
    assert process.find("restate") == running


def test_a_remembered_port_that_is_taken() -> None:
    before = start_restate("embedded")
    before.stop()
    with socket.create_server(("127.0.0.1", port_of(before.ingress_url))):
        after = start_restate("embedded")
    assert after.ingress_url != before.ingress_url
    assert after.admin_url == before.admin_url


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_an_asked_for_port_that_is_taken(
    server: Restate, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, is_free = port_of(server.ingress_url), loopback.is_free
    monkeypatch.setenv("RESTATE_INGRESS_PORT", str(port))
    if when == "meanwhile":  # the first look finds it free
        looks = iter([True])
        monkeypatch.setattr(loopback, "is_free", lambda *port: next(looks, None) or is_free(*port))
    with pytest.raises(WorkbenchError) as caught:
        start_restate("embedded")
    lines = str(caught.value).splitlines()
    assert re.fullmatch(rf"Restate's ingress port {port} is taken by .+ \(pid \d+\)\.", lines[0])
    assert lines[1].startswith("Stop that program, set RESTATE_INGRESS_PORT to another port, or")
    assert len(lines) == 2
    assert deployments(server) == []  # the other server runs on

    monkeypatch.setenv("RESTATE_INGRESS_PORT", str(asked := loopback.free_port()))
    assert start_restate("embedded").ingress_url == f"http://127.0.0.1:{asked}"


def test_damaged_data(own_state_dir: Path) -> None:
    start_restate("embedded").kill()
    data = own_state_dir / "restate" / "embedded" / "data"
    for manifest in data.rglob("MANIFEST-*"):
        manifest.write_bytes(b"not what it was")
    begun = time.monotonic()
    with pytest.raises(WorkbenchError) as caught:
        start_restate("embedded")
    assert time.monotonic() - begun < 10
    # It may die before its last words are written, but not before its first.
    assert str(caught.value).startswith(
        f"restate died while starting. If its data are damaged, remove {data} and start again."
    )
    assert "restate_server" in str(caught.value)
    shutil.rmtree(data)  # what the message says to do
    start_restate("embedded")


def test_modes_and_settings_that_do_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    valid = "valid are auto, docker, embedded, external"
    with pytest.raises(WorkbenchError, match=f"Unknown Restate mode 'dokcer'; {valid}"):
        start_restate("dokcer")
    monkeypatch.setenv("RESTATE_MODE", "podman")
    with pytest.raises(WorkbenchError, match=f"mode 'podman' in RESTATE_MODE; {valid}"):
        start_restate()
    monkeypatch.setenv("RESTATE_MODE", "embedded")
    with pytest.raises(WorkbenchError, match="needs RESTATE_INGRESS_URL"):
        start_restate("external")  # the argument counts
    for value in ("http", "0", "65536", "-1"):
        with monkeypatch.context() as patch:
            patch.setenv("RESTATE_INGRESS_PORT", value)
            with pytest.raises(WorkbenchError, match=r"RESTATE_INGRESS_PORT is .+ not a port num"):
                start_restate()
    monkeypatch.setenv("RESTATE_ROLES", "nonsense")
    with pytest.raises(WorkbenchError, match=r"(?s)died while starting.*expected a list of Role"):
        start_restate()


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


def test_external_addresses_that_are_wrong(
    server: Restate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(ingress: str, admin: str) -> str:
        with pytest.raises(WorkbenchError) as caught:
            external(monkeypatch, ingress, admin)
        return str(caught.value)

    assert said("", "http://[::1]:1").startswith("RESTATE_MODE=external needs RESTATE_INGRESS_URL")
    assert said("http://[::1]:1", "").startswith("RESTATE_MODE=external needs RESTATE_ADMIN_URL")
    nobody = said("http://127.0.0.1:2", "http://127.0.0.1:1").splitlines()
    assert nobody[0].startswith("Nobody answers at http://127.0.0.1:1: ")
    assert nobody[1:] == ["Start that server, or correct RESTATE_ADMIN_URL."]
    assert "is not a Restate server's admin API" in said(server.ingress_url, server.ingress_url)
    assert f"no ingress at {server.admin_url}" in said(server.admin_url, server.admin_url)
    assert "must begin with http:// or https://" in said("127.0.0.1:8080", server.admin_url)


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
    own_state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = private_key_file(own_state_dir / "key")
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
    assert private_key_file(own_state_dir / "key").read_bytes() == key.read_bytes()
    variable = "RESTATE_WORKER__INVOKER__REQUEST_IDENTITY_PRIVATE_KEY_PEM_FILE"
    monkeypatch.setenv(variable, str(key))
    restate = replace(start_restate("embedded"), identity_keys=(public_key(key),))
    assert public_key(key) in (own_state_dir / "logs" / "restate.log").read_text()  # as it says it
    with serve_here(echo, restate=restate) as served:
        register(restate, served.uri)
        assert call(restate, "signed") == "signed"
        assert httpx.get(f"{served.uri}/discover").status_code == 401
