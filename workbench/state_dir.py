"""The folder in which the workbench keeps records, logs and the server's data, and its locks.

Two people, or two lessons side by side, do not meet as long as each has a `WORKBENCH_HOME`.
Nothing is written elsewhere, so the repository may be read-only.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

REPOSITORY = Path(__file__).resolve().parents[1]
_DEFAULT = REPOSITORY / ".workbench"


class WorkbenchError(RuntimeError):
    """Something on this machine is not as the workbench needs it.

    The message says what happened, to what, and what to do.
    """

    def _render_traceback_(self) -> list[str]:
        """Prints the message alone: a traceback would bury it."""
        return [f"{type(self).__name__}: {self}"]


def state_dir() -> Path:
    """The state folder, created when missing: `$WORKBENCH_HOME`, or the repository's `.workbench`.

    Raises WorkbenchError when it cannot be written to.
    """
    chosen = os.environ.get("WORKBENCH_HOME")
    return created(Path(chosen).expanduser().resolve() if chosen else _DEFAULT.resolve())


@contextlib.contextmanager
def use_state_dir(folder: Path) -> Iterator[None]:
    """Within the block `folder` is the state folder, for all threads of this process."""
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
    """Whether the state folder is the repository's own, which may take the well-known ports."""
    return state_dir() == _DEFAULT.resolve()


def logs() -> Path:
    """The folder of the log files, one per process: `logs/<name>.log`."""
    return created(state_dir() / "logs", private=True)


@contextlib.contextmanager
def exclusive(name: str, *, folder: Path | None = None, timeout: float = 120.0) -> Iterator[None]:
    """Hold the lock `name`: of two kernels that start the same thing at once, one starts it.

    The lock belongs to the state folder, or to `folder` for what several state folders share.
    Raises WorkbenchError when another process holds it for more than `timeout` seconds.
    """
    folder = created(folder or state_dir() / "locks")
    try:
        lock = FileLock(folder / f"{name}.lock").acquire(timeout=timeout, poll_interval=0.01)
    except Timeout as error:
        raise WorkbenchError(
            f"Another process has been starting {name} for {timeout:g} s; it holds the lock\n"
            f"{error.lock_file}. Wait for that process, or end it."
        ) from error
    with lock:
        yield


def created(folder: Path, *, private: bool = False) -> Path:
    """`folder`, made when missing; `private`: closed to other users of this machine.

    Raises WorkbenchError when it cannot be made or written to.
    """
    try:
        folder.mkdir(mode=0o700 if private else 0o777, parents=True, exist_ok=True)
        writable, reason = os.access(folder, os.W_OK | os.X_OK), "it may not be written to"
    except OSError as error:
        writable, reason = False, str(error.strerror)
    if not writable:
        raise WorkbenchError(
            f"The workbench cannot keep its files in {folder}: {reason}.\n"
            "Set WORKBENCH_HOME to a folder that you may write to."
        )
    return folder
