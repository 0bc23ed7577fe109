"""What must be there before anything else runs: `.venv`, the packages in it, and a Restate server.

A stamp in `.venv` says what it was made from. While that holds there is nothing to do, and finding
it out takes milliseconds. Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import _packages
from _command import CommandError
from _steps import StepFailed, step

REPOSITORY = Path(__file__).resolve().parents[1]
VENV = REPOSITORY / ".venv"
PYTHON = VENV / "bin" / "python"
WORKBENCH = REPOSITORY / ".workbench"

_STAMP = VENV / "set-up.json"
_LOG = WORKBENCH / "logs" / "set-up.log"
_REQUIREMENTS = REPOSITORY / "requirements.txt"
_PROJECT = REPOSITORY / "pyproject.toml"
_UNFINISHED = {"finished": False}
_SERVER_LOCK = REPOSITORY / "workbench" / "restate" / "npm" / "package-lock.json"


def ensure() -> None:
    """Set up what is missing or out of date; say so in one line where nothing is.

    Raises CommandError, with the reason and what to do, where it cannot be done.
    """
    if _packages_fit() and not _server_is_needed():
        print(f"Set up already, in {VENV}")
        return
    started = time.monotonic()
    with _alone():  # another one may have set it up meanwhile
        print(f"Setting up in {VENV}")
        if not _packages_fit():
            _install_packages()
        if _server_is_needed():
            step("Restate server", [PYTHON, "-m", "workbench.restate", "install"], log=_LOG)
    print(f"Set up in {time.monotonic() - started:.1f} s")


def become(module: str, *arguments: object) -> NoReturn:
    """Become `python -m MODULE` of the environment, which is set up."""
    path = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(path)  # `tests` is no package that is installed
    # Ctrl-C waits until the module can handle it; see workbench/command.py.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    os.execv(PYTHON, [str(part) for part in (PYTHON, "-m", module, *arguments)])


def _packages_fit() -> bool:
    stamp = _read_stamp()
    return (
        _is_whole(stamp)
        and stamp["inputs"] == _inputs()
        and set(stamp["packages"]) <= _installed_packages()
    )


def _install_packages() -> None:
    before = _read_stamp()
    if not (_is_whole(before) if before else _was_made_by_hand()):
        _make_venv()
        before = _UNFINISHED
    _write_stamp(_UNFINISHED)
    try:
        _packages.install(PYTHON, _REQUIREMENTS, cache=WORKBENCH / "uv", log=_LOG)
    except StepFailed:
        _write_stamp(before)  # both download everything before they change anything
        raise
    _write_stamp(
        {
            "finished": True,
            "location": str(VENV),
            "interpreter": os.path.realpath(PYTHON),
            "inputs": _inputs(),
            "packages": sorted(_installed_packages()),
        }
    )


def _make_venv() -> None:
    """Make `.venv` anew: there may be half of one, or one that was moved or lost its Python."""
    if not importlib.util.find_spec("venv") or not importlib.util.find_spec("ensurepip"):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise CommandError(
            f"{sys.executable} cannot make virtual environments: its venv and ensurepip are not"
            f" installed.\nInstall them (Debian, Ubuntu: sudo apt install python{version}-venv), or"
            " start this with another Python: python3.12 scripts/…"
        )
    try:
        if VENV.exists():
            shutil.rmtree(VENV)
        VENV.mkdir()
        _write_stamp(_UNFINISHED)
    except OSError as error:
        raise CommandError(
            f"Cannot make {VENV} anew: {error}. Remove it, and try again."
        ) from error
    base = getattr(sys, "_base_executable", sys.executable)  # this may be a virtual environment's
    step("virtual environment", [base, "-m", "venv", VENV], log=_LOG)


def _was_made_by_hand() -> bool:
    """Whether there is a working `.venv` that someone else made, to which packages can be added."""
    check = "import pip, sys; sys.exit(sys.version_info < (3, 10))"
    return _succeeds([str(PYTHON), "-c", check])


def _read_stamp() -> dict[str, Any]:
    """What the stamp says; nothing where there is none."""
    try:
        stamp: dict[str, Any] = json.loads(_STAMP.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError:
        return _UNFINISHED
    return stamp


def _write_stamp(stamp: dict[str, Any]) -> None:
    draft = _STAMP.with_suffix(".new")
    draft.write_text(json.dumps(stamp))
    draft.replace(_STAMP)  # all of it or nothing


def _is_whole(stamp: dict[str, Any]) -> bool:
    """Whether `.venv` was finished, is where it was made, and still has its Python."""
    return (
        stamp.get("finished") is True
        and stamp["location"] == str(VENV)
        and stamp["interpreter"] == os.path.realpath(PYTHON)
        and os.access(PYTHON, os.X_OK)
    )


def _inputs() -> str:
    return hashlib.sha256(_REQUIREMENTS.read_bytes() + _PROJECT.read_bytes()).hexdigest()


def _installed_packages() -> set[str]:
    """Names with versions, as in `httpx-0.28.1.dist-info`."""
    return {path.name for path in VENV.glob("lib/python3*/site-packages/*.dist-info")}


def _server_is_needed() -> bool:
    """Whether the embedded server has to be installed; see workbench/restate for the modes."""
    mode = os.environ.get("RESTATE_MODE") or "auto"
    if mode not in ("auto", "embedded") or _server_is_installed():
        return False
    return mode == "embedded" or not _docker_will_do()


def _server_is_installed() -> bool:
    locked = json.loads(_SERVER_LOCK.read_text())["packages"]
    for folder, package in locked.items():
        installed = WORKBENCH / "npm" / folder
        if (installed / "bin" / "restate-server").exists():
            version = json.loads((installed / "package.json").read_text())["version"]
            return bool(version == package["version"])
    return False


def _docker_will_do() -> bool:
    """Whether an engine answers and there is a compose for it, as the workbench will ask."""
    compose = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
    return _succeeds(["docker", "version"]) and _succeeds([*compose, "version"])


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=5, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Keep a second command that sets up in this folder waiting."""
    try:
        _LOG.parent.mkdir(parents=True, exist_ok=True)
        lock = (WORKBENCH / "set-up.lock").open("w")
    except OSError as error:
        raise CommandError(f"Cannot write to {WORKBENCH}: {error.strerror}.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for the set-up that another command has begun …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
