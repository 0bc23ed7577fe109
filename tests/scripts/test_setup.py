"""The set-up, in a small repository of its own that needs no network: one package, in a folder."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
LOCK = Path("workbench/restate/npm/package-lock.json")

ENSURE = (
    "import sys; sys.path.insert(0, 'scripts');"
    "import _command, _setup; _command.run(lambda _: _setup.ensure() or 0)"
)


class SmallRepository:
    """A copy of `scripts/` with requirements that are one wheel."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(REPOSITORY / "scripts", folder / "scripts")
        (folder / LOCK).parent.mkdir(parents=True)
        shutil.copy(REPOSITORY / LOCK, folder / LOCK)
        (folder / "pyproject.toml").touch()
        (folder / "wheels").mkdir()
        self.require("1.0")

    @property
    def python(self) -> Path:
        return self.folder / ".venv" / "bin" / "python"

    def require(self, version: str) -> None:
        """Ask for a version of the package `pebble`, and make it."""
        (self.folder / "requirements.txt").write_text(f"pebble=={version}\n")
        info = f"pebble-{version}.dist-info"
        wheel = self.folder / "wheels" / f"pebble-{version}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("pebble.py", f"version = {version!r}\n")
            archive.writestr(
                f"{info}/METADATA", f"Metadata-Version: 2.1\nName: pebble\nVersion: {version}\n"
            )
            archive.writestr(
                f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            archive.writestr(f"{info}/RECORD", "")

    def start(self, *, before: str = "", **env: str | None) -> subprocess.Popen[str]:
        """Start the set-up; `before` is code that runs first, and None takes a variable away."""
        environment = {
            **os.environ,
            "RESTATE_MODE": "external",  # no server to install
            "PIP_FIND_LINKS": str(self.folder / "wheels"),
            "PIP_NO_INDEX": "1",
            **env,
        }
        return subprocess.Popen(
            [sys.executable, "-c", before + ENSURE],
            cwd=self.folder,
            env={name: value for name, value in environment.items() if value is not None},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ensure(self, *, before: str = "", **env: str | None) -> tuple[int, str, str]:
        """Run the set-up to its end; exit code, stdout and stderr."""
        with self.start(before=before, **env) as process:
            out, err = process.communicate(timeout=50)
        return process.returncode, out, err

    def pebble(self) -> str:
        """The version of the package that is installed."""
        code = "import pebble; print(pebble.version)"
        return subprocess.check_output([self.python, "-c", code], text=True).strip()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> SmallRepository:
    """Making a virtual environment takes seconds, so most tests spoil, and mend, the same one."""
    return SmallRepository(tmp_path_factory.mktemp("set-up") / "repository")


@pytest.fixture
def repository(shared: SmallRepository) -> SmallRepository:
    """A repository that is set up."""
    shared.require("1.0")
    code, _, err = shared.ensure()
    assert (code, err) == (0, "")
    return shared


def test_sets_up_once(repository: SmallRepository) -> None:
    began = time.monotonic()
    code, out, err = repository.ensure()
    seconds = time.monotonic() - began

    assert (code, out, err) == (0, f"Set up already, in {repository.folder / '.venv'}\n", "")
    assert seconds < 2
    assert repository.pebble() == "1.0"


def test_a_path_in_the_requirements_is_the_repositorys(repository: SmallRepository) -> None:
    repository.require("1.2")
    (wheel,) = repository.folder.glob("wheels/pebble-1.2-*")
    (repository.folder / "requirements.txt").write_text(f"./wheels/{wheel.name}\n")

    code, _, err = repository.ensure(
        before="import os, sys; sys.path.insert(0, os.path.abspath('scripts')); os.chdir('/');"
    )

    assert (code, err) == (0, "")
    assert repository.pebble() == "1.2"


def test_other_requirements_are_added_to_what_is_there(repository: SmallRepository) -> None:
    repository.require("1.1")

    code, out, _ = repository.ensure()

    assert code == 0
    assert "virtual environment" not in out
    assert repository.pebble() == "1.1"


def test_a_package_that_was_removed_comes_back(repository: SmallRepository) -> None:
    subprocess.check_call([repository.python, "-m", "pip", "uninstall", "-q", "-y", "pebble"])

    code, out, _ = repository.ensure()

    assert code == 0
    assert "virtual environment" not in out
    assert repository.pebble() == "1.0"


def test_a_python_that_is_gone_is_replaced(repository: SmallRepository) -> None:
    repository.python.unlink()
    repository.python.symlink_to("/nowhere/python3")

    code, out, _ = repository.ensure()

    assert code == 0
    assert "virtual environment" in out
    assert repository.pebble() == "1.0"


def test_a_repository_that_was_moved_is_set_up_anew(repository: SmallRepository) -> None:
    repository.folder = repository.folder.rename(repository.folder.with_name("moved"))

    code, out, _ = repository.ensure()

    assert code == 0
    assert "virtual environment" in out


def test_what_pip_cannot_install_is_an_error_with_pips_last_lines(
    repository: SmallRepository,
) -> None:
    repository.require("2.0")
    (repository.folder / "wheels" / "pebble-2.0-py3-none-any.whl").unlink()

    code, out, err = repository.ensure()

    assert code == 1
    assert "packages … failed" in out
    assert "No matching distribution found for pebble==2.0" in err
    assert "It needs the network once" in err
    assert "Traceback" not in err


def test_an_interrupted_set_up_ends_its_programs_and_is_redone(repository: SmallRepository) -> None:
    repository.require("1.2")
    with socket.create_server(("127.0.0.1", 0)) as index:  # takes a call and says nothing
        index.settimeout(30)
        url = f"http://127.0.0.1:{index.getsockname()[1]}/simple"
        with repository.start(PIP_NO_INDEX=None, PIP_INDEX_URL=url) as process:
            connection, _ = index.accept()
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
        with connection:
            connection.settimeout(30)
            while connection.recv(1024):  # to the end: whoever called is gone
                pass

    assert process.returncode == 130
    assert err == "Interrupted.\n"
    code, out, _ = repository.ensure()
    assert code == 0
    assert "virtual environment" in out
    assert repository.pebble() == "1.2"


def test_a_second_one_waits(repository: SmallRepository) -> None:
    repository.require("1.3")
    with (repository.folder / ".workbench" / "set-up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = repository.start()
        assert process.stdout is not None
        assert (
            process.stdout.readline() == "Waiting for the set-up that another command has begun …\n"
        )
    with process:
        out, _ = process.communicate(timeout=30)

    assert process.returncode == 0
    assert "packages … " in out


def test_a_venv_that_someone_else_made_is_kept(repository: SmallRepository) -> None:
    repository.require("1.4")
    (repository.folder / ".venv" / "set-up.json").unlink()

    code, out, _ = repository.ensure()

    assert code == 0
    assert "virtual environment" not in out
    assert repository.pebble() == "1.4"


def test_a_python_without_ensurepip_is_told_the_fix(tmp_path: Path) -> None:
    repository = SmallRepository(tmp_path / "repository")
    before = (
        "import importlib.util; find = importlib.util.find_spec;"
        "importlib.util.find_spec = lambda name: None if name == 'ensurepip' else find(name);"
    )

    code, _, err = repository.ensure(before=before)

    assert code == 1
    assert f"sudo apt install python{sys.version_info.major}.{sys.version_info.minor}-venv" in err
    assert len(err.splitlines()) == 2
    assert not (repository.folder / ".venv").exists()
