"""Where the workbench keeps what it makes: records, logs, the server's data.

Everything is below one folder. Two people, or two lessons side by side, do not meet as long as each
has a `WORKBENCH_HOME`; and removing the folder removes every trace.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from workbench.errors import WorkbenchError

REPOSITORY = Path(__file__).resolve().parents[1]
_DEFAULT = REPOSITORY / ".workbench"


def home() -> Path:
    """The workbench's folder, created when missing.

    It is `$WORKBENCH_HOME`, or else `.workbench` in the repository.
    """
    chosen = os.environ.get("WORKBENCH_HOME")
    return _created(Path(chosen).expanduser().resolve() if chosen else _DEFAULT)


@contextlib.contextmanager
def as_home(folder: Path) -> Iterator[None]:
    """Within the block, `folder` is the home. It is so for the whole process, threads and all."""
    before = os.environ.get("WORKBENCH_HOME")
    os.environ["WORKBENCH_HOME"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["WORKBENCH_HOME"]
        else:
            os.environ["WORKBENCH_HOME"] = before


def is_default() -> bool:
    """Whether `home()` is the repository's own folder, which may take the well-known ports."""
    return home() == _DEFAULT


def logs() -> Path:
    """The folder of the log files, one per process: `<home>/logs/<name>.log`."""
    return _created(home() / "logs")


@contextlib.contextmanager
def exclusive(name: str, *, folder: Path | None = None, timeout: float = 120.0) -> Iterator[None]:
    """Hold the lock `name`: of two kernels that start the same thing at once, one starts it.

    The lock is one of this home's, or of `folder`'s, for what several homes share.

    Raises WorkbenchError when another process holds the lock for more than `timeout` seconds.
    """
    folder = _created(folder or home() / "locks")
    try:
        lock = FileLock(folder / f"{name}.lock").acquire(timeout=timeout, poll_interval=0.01)
    except Timeout as error:
        raise WorkbenchError(
            f"Another process has been starting {name} for {timeout:g} s; it holds the lock\n"
            f"{error.lock_file}. Wait for that process, or end it."
        ) from error
    with lock:
        yield


def _created(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkbenchError(
            f"The workbench cannot create its folder {folder}: {error.strerror}.\n"
            "Set WORKBENCH_HOME to a folder that you may write to."
        ) from error
    return folder
