"""Keeps what the processes of a failed lesson wrote, which else goes with the run's folder."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from workbench.restate.docker import last_log_lines

_LINES = 15  # to be shown
_CONTAINER_LINES = 10_000  # to be kept
_CONTAINER = "restate-container.log"


def forget_logs(folder: Path) -> None:
    """Remove what an earlier run has kept in `folder`."""
    shutil.rmtree(folder, ignore_errors=True)


def keep_logs(home: Path, *, since: float, folder: Path) -> dict[str, str]:
    """Copy to `folder` the logs of a home that were written to after `since` (Unix time).

    Returns the last lines of each, by name. Where there is no room for the copies, there are none.
    """
    written = [
        log
        for log in sorted((home / "logs").glob("*.log"))
        if log.stat().st_mtime >= since and log.stat().st_size
    ]
    texts = {log.name: log.read_text(errors="replace") for log in written}
    in_docker = last_log_lines(home, _CONTAINER_LINES)
    if in_docker:
        texts[_CONTAINER] = in_docker
    with contextlib.suppress(OSError):  # a full disk: the run says so anyway
        if texts:
            folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text)
    return {name: "\n".join(text.splitlines()[-_LINES:]) for name, text in texts.items()}
