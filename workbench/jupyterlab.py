"""`python -m workbench.jupyterlab open|status|stop`: the lessons in JupyterLab, and their end.

A reader works on copies, so that JupyterLab's saving changes nothing that git knows.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import secrets
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from workbench import process, progress
from workbench.command import run_command
from workbench.leftovers import end_everything, kill_kernels
from workbench.lesson import stop_all
from workbench.local_model import use_local_model
from workbench.state_dir import REPOSITORY, is_default, state_dir

COPIES = "my-lessons"

# What a narrow window must not do to tables and pictures: break their lines.
KEEP_SHAPES = """\
.jp-Notebook .jp-OutputArea-output pre { white-space: pre; word-break: normal; }
.jp-Notebook .jp-OutputArea-output { overflow-x: auto; }
"""

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


def open_lessons() -> None:
    """Serve copies of the lessons with JupyterLab, opened where the reader is, until it ends.

    It ends by itself (File > Shut Down) or with this process. When one is open already, this says
    where, and returns.
    """
    root = _reader_root()
    for line in update_copies(REPOSITORY / "notebooks", root / COPIES):
        print(line)
    lesson = root / COPIES / f"{progress.next_lesson()}.ipynb"
    running = process.find(_NAME)
    if running is not None:
        _wait_ready(running)
        print(f"JupyterLab is open already: {_url(running)}")
        return
    try:
        running = _start(root, f"/lab/tree/{lesson.relative_to(root).as_posix()}")
        _wait_ready(running)
        print(f"JupyterLab: {_url(running)}\nCtrl-C ends it and all that the lessons have started.")
        while running.alive:
            time.sleep(0.2)
        print("JupyterLab has ended; now all that the lessons have started ends.")
    finally:
        kill_kernels(state_dir() / "jupyter")
        stop_all()


def stop() -> None:
    """End what sessions, runs and checks have left running."""
    ended = end_everything()
    print(f"Stopped: {', '.join(ended)}" if ended else "Nothing was running.")


def update_copies(originals: Path, copies: Path) -> list[str]:
    """Give a reader a copy of each lesson; what there is to say, in lines.

    A copy that the reader has changed is never overwritten.
    """
    copies.mkdir(parents=True, exist_ok=True)
    record = copies / ".originals.json"  # the originals that were copied
    known: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
    lines = []
    for original in sorted(originals.glob("[0-9][0-9]_*.ipynb")):
        copy, new = copies / original.name, _digest(original)
        if not copy.exists() or _digest(copy) == known.get(original.name):
            shutil.copyfile(original, copy)
            known[original.name] = new
        elif known.get(original.name) != new:
            lines.append(
                f"{original.name} has a new version, and you have changed yours, which is kept."
                f" To get the new one: rename {copy}, and start again."
            )
    record.write_text(json.dumps(known, indent=1))
    for name in ("appendix.md", "ladder"):  # to which lessons link
        _link(copies / name, originals / name)
    return lines


def jupyter_folders(base: Path) -> dict[str, str]:
    """Environment variables that keep all of Jupyter's and IPython's files below `base`.

    The kernel `python3` is then the one of the Python that runs this, whatever others there are.
    `base` has to exist when they are used, or else IPython looks for another place.
    """
    return {
        "IPYTHONDIR": str(base / "ipython"),
        "JUPYTER_CONFIG_DIR": str(base / "config"),  # and JupyterLab's settings and workspaces
        "JUPYTER_DATA_DIR": str(base / "data"),
        "JUPYTER_PATH": "",  # no further folders with kernels
        "JUPYTER_RUNTIME_DIR": str(base / "runtime"),
        "npm_config_cache": str(base / "npm"),  # jupyter-lsp asks npm something, and npm logs it
    }


def _reader_root() -> Path:
    """The folder that JupyterLab shows: the repository, or what stands for it in a home apart."""
    if is_default():
        return REPOSITORY
    root = state_dir() / "reader"
    root.mkdir(exist_ok=True)
    for name in ("README.md", "agent"):  # to which lessons link
        _link(root / name, REPOSITORY / name)
    return root


def _link(place: Path, target: Path) -> None:
    if not place.exists() and not place.is_symlink():
        place.symlink_to(target)


def _start(root: Path, page: str) -> process.Running:
    base = state_dir() / "jupyter"
    base.mkdir(exist_ok=True)
    # JupyterLab's question, whether it may fetch news, is answered before it asks the reader.
    settings = base / "config/lab/user-settings/@jupyterlab/apputils-extension"
    news = settings / "notification.jupyterlab-settings"
    style = base / "config/custom/custom.css"
    for file, text in ((news, '{"fetchNews": "false"}'), (style, KEEP_SHAPES)):
        file.parent.mkdir(parents=True, exist_ok=True)
        if file == style or not file.exists():
            file.write_text(text)
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


def _wait_ready(running: process.Running) -> None:
    def answers() -> bool:
        try:
            return bool(_url(running))
        except (FileNotFoundError, json.JSONDecodeError):  # not there, or half written
            return False

    running.wait_ready(answers, timeout=60)


def _info_file(running: process.Running) -> Path:
    """The file in which Jupyter writes its URL once it listens."""
    return state_dir() / "jupyter" / "runtime" / f"jpserver-{running.pid}.json"


def _url(running: process.Running) -> str:
    server: dict[str, Any] = json.loads(_info_file(running).read_text())
    return f"{server['url'].rstrip('/')}{running.extra['page']}?token={server['token']}"


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def main(arguments: list[str]) -> int:
    """Do what the command line says; 130 is Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m workbench.jupyterlab", description=__doc__)
    parser.add_argument("command", choices=["open", "status", "stop"])
    parser.add_argument("--local-model", action="store_true")
    chosen = parser.parse_args(arguments)
    command = chosen.command
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal cannot show becomes "?"
            stream.reconfigure(errors="replace", line_buffering=True)

    def act() -> int:
        if chosen.local_model:
            use_local_model()
        {"open": open_lessons, "status": progress.show_status, "stop": stop}[command]()
        return 0

    return run_command(act)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
