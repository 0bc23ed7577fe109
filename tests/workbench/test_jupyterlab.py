"""JupyterLab as a reader opens it, and the copies that a reader works on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from tests.browser.lab import jupyterlab
from workbench.jupyterlab import update_copies


@pytest.fixture
def originals(tmp_path: Path) -> Path:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for name in ("00_first", "01_second"):
        (folder / f"{name}.ipynb").write_text(f"{name}, version 1")
    return folder


def test_a_reader_gets_copies_and_what_is_new(originals: Path, tmp_path: Path) -> None:
    copies = tmp_path / "mine"
    (originals / "appendix.md").write_text("verbs")
    assert update_copies(originals, copies) == []
    assert (copies / "00_first.ipynb").read_text() == "00_first, version 1"
    assert (copies / "appendix.md").read_text() == "verbs"  # to which lessons link

    (originals / "00_first.ipynb").write_text("00_first, version 2")
    assert update_copies(originals, copies) == []
    assert (copies / "00_first.ipynb").read_text() == "00_first, version 2"


def test_a_changed_copy_is_kept_and_a_new_version_is_announced(
    originals: Path, tmp_path: Path
) -> None:
    copies = tmp_path / "mine"
    update_copies(originals, copies)
    copy = copies / "01_second.ipynb"
    copy.write_text("my notes")
    assert update_copies(originals, copies) == []  # there is nothing new

    (originals / "01_second.ipynb").write_text("01_second, version 2")
    for _ in range(2):
        (line,) = update_copies(originals, copies)
        assert line.startswith("01_second.ipynb has a new version")
        assert f"rename {copy}" in line
    assert copy.read_text() == "my notes"

    copy.rename(copies / "mine.ipynb")
    assert update_copies(originals, copies) == []
    assert copy.read_text() == "01_second, version 2"


def _processes(home: Path) -> list[psutil.Process]:
    return [
        one
        for one in psutil.process_iter(["environ", "status"])
        if str(home) in str(one.info["environ"]) and one.info["status"] != psutil.STATUS_ZOMBIE
    ]


@pytest.mark.timeout(120)
def test_it_opens_where_the_reader_is_and_ends_with_its_kernels(tmp_path: Path) -> None:
    (tmp_path / "progress.json").write_text('{"lesson 00": {"done": true}}')
    with jupyterlab(tmp_path) as lab:
        assert lab.stdout is not None
        line = lab.stdout.readline()
        found = re.fullmatch(r"JupyterLab: (http://127\.0\.0\.1:\d+)(/.*)\?token=(\w+)\n", line)
        assert found is not None, line
        url, page, token = found.groups()
        assert page == "/lab/tree/my-lessons/01_follow_one_message.ipynb"
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            assert client.get(page, follow_redirects=False).status_code == 302  # to the log-in
            client.headers["Authorization"] = f"token {token}"
            for file in ("my-lessons/00_start.ipynb", "README.md", "agent"):
                assert client.get(f"/api/contents/{file}?content=0").status_code == 200
            assert client.post("/api/kernels", json={"name": "python3"}).status_code == 201
        with jupyterlab(tmp_path) as again:
            said, _ = again.communicate(timeout=30)
        assert said == f"JupyterLab is open already: {url}{page}?token={token}\n"
        assert len(_processes(tmp_path)) == 3  # the command, JupyterLab, a kernel
        lab.send_signal(signal.SIGINT)
        lab.communicate(timeout=30)

    assert lab.returncode == 130
    assert _processes(tmp_path) == []
    assert token not in (tmp_path / "logs" / "jupyterlab.log").read_text()


def test_stop_ends_what_killed_checks_have_left(tmp_path: Path) -> None:
    sleepers = []
    for folder in ("test-1/pytest/home", "benchmark-1", "stress-1"):
        home = tmp_path / folder
        home.mkdir(parents=True)
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        env = {**os.environ, "WORKBENCH_HOME": str(home)}
        sleepers.append(subprocess.Popen(command, env=env))
    stop = subprocess.run(
        [sys.executable, "-m", "workbench.jupyterlab", "stop"],
        env={**os.environ, "WORKBENCH_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert [sleeper.wait(timeout=10) for sleeper in sleepers] == [-signal.SIGKILL] * 3
    name = Path(sys.executable).name
    assert stop.stdout == f"Stopped: {name}, {name}, {name}\n"
    assert list(tmp_path.iterdir()) == []
