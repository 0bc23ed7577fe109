"""A disk that is full: what the run says then, in a line, whoever met it first."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from workbench.state_dir import WorkbenchError

_FULL = (errno.ENOSPC, errno.EDQUOT)
MESSAGES = tuple(f"[Errno {number}]" for number in _FULL)
"""How the text of an `OSError` begins when a disk is full."""

_LITTLE = 1 << 20  # of a disk that is full, a few blocks may be free


def is_full(error: OSError) -> bool:
    """Whether `error` says that a disk, or somebody's share of it, is full."""
    return error.errno in _FULL


def no_space(path: Path | str) -> str:
    """What is said of a file or a folder that could not be written."""
    return f"No space left on the disk: {path} could not be written. Free some, and run it again."


def full_disk(*folders: Path) -> str:
    """Which of the folders is on a disk with no space left, as a line; empty where none is."""
    for folder in folders:
        if shutil.disk_usage(folder).free < _LITTLE:
            return f"No space left on the disk of {folder}. Free some, and run it again."
    return ""


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it. Raises WorkbenchError where that cannot be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise complaint(error, folder) from error


def write_text(path: Path, text: str) -> None:
    """Write a file, all of it or nothing. Raises WorkbenchError where that cannot be done."""
    draft = path.with_name(f"{path.name}.part")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise complaint(error, path) from error


def complaint(error: OSError, path: Path) -> WorkbenchError:
    """What is said where `path` could not be written."""
    if is_full(error):
        return WorkbenchError(no_space(path))
    return WorkbenchError(f"{path} could not be written: {error.strerror}.")
