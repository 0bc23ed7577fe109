"""The set-up, in a small repository of its own that needs no network: one package, in a folder."""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
RUN = "import sys; sys.path.insert(0, 'scripts'); import _setup; _setup.run('pebble')"
READ_ONLY = "import os; os.access = lambda path, mode: 'bin' in str(path);"
NO_DISK = "import shutil; shutil.disk_usage = lambda path: type('', (), {'free': 10**8});"
NO_PIP = (
    "import importlib.util as u, sys; sys._base_executable = '/bin/false'; find = u.find_spec;"
    "u.find_spec = lambda name: None if name == 'ensurepip' else find(name);"
)


class SmallRepository:
    """A copy of `scripts/` whose requirement is one wheel, `pebble`, that prints its version."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.venv = folder, folder / ".venv"
        shutil.copytree(REPOSITORY / "scripts", folder / "scripts")
        (folder / "wheels").mkdir()
        (folder / "workbench/restate/npm").mkdir(parents=True)
        for name in ("pyproject.toml", "workbench/restate/npm/package-lock.json"):
            (folder / name).touch()
        (folder / "workbench/restate/__main__.py").touch()
        self.require("1.0")

    def require(self, version: str) -> Path:
        """Require this version of the package, and make it."""
        (self.folder / "requirements.txt").write_text(f"pebble=={version}\n")
        wheel = self.folder / "wheels" / f"pebble-{version}-py3-none-any.whl"
        files = {
            "METADATA": f"Metadata-Version: 2.1\nName: pebble\nVersion: {version}\n",
            "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            "RECORD": "",
        }
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("pebble.py", f"import sys; print({version!r}, sys.prefix, 'ü…')")
            for name, text in files.items():
                archive.writestr(f"pebble-{version}.dist-info/{name}", text)
        return wheel

    def start(self, *, before: str = "", code: str = RUN, **env: str) -> subprocess.Popen[str]:
        """Start a command, which runs `pebble`; `before` is code that runs first."""
        known = {"PIP_FIND_LINKS": str(self.folder / "wheels"), "PIP_NO_INDEX": "1"}
        return subprocess.Popen(
            [sys.executable, "-c", before + code],
            cwd=self.folder,
            env={**os.environ, **known, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="latin-1",
        )

    def run(self, **options: str) -> tuple[int, list[str], str]:
        """Run a command to its end; exit code, the words that pebble prints, and stderr."""
        with self.start(**options) as process:
            out, err = process.communicate(timeout=50)
        assert "Traceback" not in err
        return process.returncode, out.split(), err


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> SmallRepository:
    return SmallRepository(tmp_path_factory.mktemp("set-up") / "repository")


@pytest.fixture
def repository(shared: SmallRepository) -> SmallRepository:
    """A repository that is set up; each test spoils it, and the next one mends it."""
    shared.require("1.0")
    code, out, err = shared.run()
    assert (code, out[:2]) == (0, ["1.0", str(shared.venv)]), err
    return shared


def test_sets_up_once(repository: SmallRepository) -> None:
    code, out, err = repository.run(PYTHONIOENCODING="latin-1")

    assert (code, err) == (0, f"Set up already, in {repository.venv}\n")
    assert out == ["1.0", str(repository.venv), "ü?"]


@pytest.mark.parametrize("spoilt", ["moved", "no Python", "by hand", "no package"])
def test_what_is_broken_is_mended(repository: SmallRepository, spoilt: str) -> None:
    folder, venv = repository.folder, repository.venv
    if spoilt == "moved":
        repository.folder = folder.rename(folder.with_name("moved"))
        repository.venv = repository.folder / ".venv"
    elif spoilt == "no Python":
        (venv / "bin" / "python").unlink()
        (venv / "bin" / "python").symlink_to("/nowhere/python3")
    elif spoilt == "by hand":
        shutil.rmtree(venv)
        subprocess.check_call([sys.executable, "-m", "venv", "--without-pip", venv])
    else:
        (info,) = venv.glob("lib/*/site-packages/pebble-1.0.dist-info")
        shutil.rmtree(info)

    code, out, err = repository.run()

    assert (code, out[:2]) == (0, ["1.0", str(repository.venv)])
    assert ("virtual environment" in err) == (spoilt not in ("by hand", "no package"))


def test_only_the_sources_in_pips_settings_count(
    repository: SmallRepository, tmp_path: Path
) -> None:
    repository.require("1.1")
    other, config = str(tmp_path / "other"), tmp_path / "pip.conf"
    sources = f"[global]\nno-index = true\nfind_links =\n  {repository.folder}/wheels\n"
    config.write_text(f"{sources}[install]\nuser = true\ntarget = {other}\n")
    (tmp_path / "pebble-1.1.dist-info").mkdir()

    code, out, _ = repository.run(
        **dict.fromkeys(("PIP_NO_INDEX", "PIP_FIND_LINKS"), ""),
        **dict.fromkeys(("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "UV_TARGET"), other),
        **dict.fromkeys(("PIP_USER", "PIP_REQUIRE_VIRTUALENV", "UV_SYSTEM_PYTHON"), "1"),
        **{"PIP_CONFIG_FILE": str(config), "PYTHONPATH": str(tmp_path)},
    )

    assert (code, out[:2]) == (0, ["1.1", str(repository.venv)])
    assert not Path(other).exists()


def test_what_fails_leaves_what_was_there(repository: SmallRepository) -> None:
    repository.require("2.0").unlink()

    code, _, err = repository.run()
    assert code == 1
    assert "No matching distribution found for pebble==2.0" in err
    assert "It needs the network once" in err
    assert repository.run(code=RUN.replace("run(", "become("))[1][0] == "1.0"  # `tutorial stop`


def test_cut_short_it_ends_its_programs_and_is_redone(repository: SmallRepository) -> None:
    repository.require("1.2")
    with socket.create_server(("127.0.0.1", 0)) as index:  # takes a call and says nothing
        index.settimeout(30)
        url = f"http://127.0.0.1:{index.getsockname()[1]}/simple"
        with repository.start(PIP_NO_INDEX="0", PIP_INDEX_URL=url) as process:
            connection, _ = index.accept()
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=30)
        with connection:
            connection.settimeout(30)
            while connection.recv(1024):  # to the end: the caller is gone
                pass

    assert (process.returncode, err.splitlines()[-1]) == (130, "Interrupted.")
    assert repository.run()[1][0] == "1.2"


def test_a_second_one_waits(repository: SmallRepository) -> None:
    repository.require("1.3")
    with (repository.folder / ".workbench" / "set-up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = repository.start()
        assert process.stderr is not None
        assert process.stderr.readline().startswith("Waiting for the set-up that another command")
    with process:
        assert process.communicate(timeout=30)[0].startswith("1.3 ")


def test_a_shared_checkout_is_only_read(repository: SmallRepository, tmp_path: Path) -> None:
    own = {"before": READ_ONLY, "WORKBENCH_HOME": str(tmp_path / "own")}
    assert repository.run(**own)[1][:2] == ["1.0", str(repository.venv)]

    repository.require("1.4")
    assert repository.run(**own)[1][:2] == ["1.4", str(tmp_path / "own" / "venv")]


@pytest.mark.parametrize(
    ("before", "env", "message"),
    [
        ("", {"SSL_CERT_FILE": "/no.pem"}, "SSL_CERT_FILE names /no.pem, which does not exist."),
        (NO_DISK, {}, "The disk is too full: set-up needs 900 MB, "),
        (NO_PIP, {}, "/bin/false has neither pip nor ensurepip.\n"),
        (READ_ONLY, {"WORKBENCH_HOME": __file__}, "WORKBENCH_HOME can name another folder.\n"),
        ("import os, sys; sys.modules['_sources'] = 0; os.name = 'nt';", {}, "inside WSL 2"),
    ],
)
def test_what_a_person_can_mend_is_a_line(
    tmp_path: Path, before: str, env: dict[str, str], message: str
) -> None:
    repository = SmallRepository(tmp_path / "repository")
    if before == NO_PIP:
        subprocess.check_call([sys.executable, "-m", "venv", "--without-pip", repository.venv])

    code, _, err = repository.run(before=before, **env)

    assert code == 1
    assert message in err
    assert err.count("\n") <= 5


def test_pips_sources_in_the_words_of_uv_and_npm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "scripts"))
    import _sources

    own = [_sources._variable(option) for option in _sources._SOURCES]
    for name in [*_sources._CERTIFICATES, *own, *itertools.chain(*_sources._SOURCES.values())]:
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "pip.conf"
    config.write_text(f"[global]\ncert = {config}\nextra-index-url =\n  https://a\n  https://b\n")
    given = {"CONFIG_FILE": config, "FIND_LINKS": "/a /b", "PROXY": "proxy:80", "USER": "1"}
    for name, value in given.items():
        monkeypatch.setenv(f"PIP_{name}", str(value))

    variables = _sources.for_set_up(tmp_path, tmp_path / "cache")

    assert variables.items() >= {
        ("UV_INDEX", "https://a https://b"),
        ("UV_FIND_LINKS", "/a,/b"),
        ("SSL_CERT_FILE", str(config)),
        ("NODE_EXTRA_CA_CERTS", str(config)),
        ("HTTPS_PROXY", "http://proxy:80"),
    }
    assert "PIP_USER" not in variables
