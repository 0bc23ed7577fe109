"""Opens the lessons in JupyterLab, and ends everything that they started when it ends."""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Any

from workbench import process
from workbench.series.ending import JUPYTER, end_session
from workbench.series.folders import jupyter_folders
from workbench.series.shapes import KEEP_SHAPES
from workbench.state_dir import state_dir

_NAME = "jupyterlab"

_OPTIONS = [
    "--ServerApp.ip=127.0.0.1",
    "--ServerApp.port_retries=100",  # from 8888 on
    "--ServerApp.allow_root=True",  # as in a container
    "--FileContentsManager.delete_to_trash=False",  # the trash is a folder of the user's
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.news_url=None",
    "--LabApp.custom_css=True",
    "--LabApp.extension_manager=readonly",  # the other one asks PyPI
]


def open_lab(root: Path, lesson: Path) -> None:
    """Serve the folder `root` with JupyterLab, opened at the notebook `lesson`, until it ends.

    It ends by itself (File > Shut Down) or with this process. When one is open already, this says
    where, and returns.
    """
    running = process.find(_NAME)
    if running is not None:
        _wait_ready(running)
        print(f"JupyterLab is open already: {_url(running)}")
        return
    try:
        running = _start(root.resolve(), lesson.resolve())
        _wait_ready(running)
        print(f"JupyterLab: {_url(running)}\nCtrl-C ends it and all that the lessons have started.")
        while running.alive:
            time.sleep(0.2)
        print("JupyterLab has ended; now all that the lessons have started ends.")
    finally:
        end_session()


def _start(root: Path, lesson: Path) -> process.Running:
    page = f"/lab/tree/{lesson.relative_to(root).as_posix()}"
    base = state_dir() / JUPYTER
    base.mkdir(exist_ok=True)
    _decline_news(base)
    _write_style(base)
    return process.start(
        _NAME,
        [
            *(sys.executable, "-m", "jupyterlab", *_OPTIONS),
            *(f"--ServerApp.root_dir={root}", f"--LabApp.default_url={page}"),
        ],
        env={
            **jupyter_folders(base),
            # One that it makes itself it writes to its log, which others may read.
            "JUPYTER_TOKEN": os.environ.get("JUPYTER_TOKEN") or secrets.token_hex(24),
        },
        extra={"page": page},
    )


def _decline_news(base: Path) -> None:
    """Answer JupyterLab's question, whether it may fetch news, before it asks the reader."""
    folder = base / "config" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "notification.jupyterlab-settings"
    if not settings.exists():
        settings.write_text(json.dumps({"fetchNews": "false"}))


def _write_style(base: Path) -> None:
    folder = base / "config" / "custom"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "custom.css").write_text(KEEP_SHAPES)


def _wait_ready(running: process.Running) -> None:
    running.wait_ready(lambda: _info_file(running).exists(), timeout=60)


def _info_file(running: process.Running) -> Path:
    """Where the server says how it is reached, once it can be."""
    return state_dir() / JUPYTER / "runtime" / f"jpserver-{running.pid}.json"


def _url(running: process.Running) -> str:
    server: dict[str, Any] = json.loads(_info_file(running).read_text())
    return f"{server['url'].rstrip('/')}{running.extra['page']}?token={server['token']}"
