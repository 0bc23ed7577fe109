"""A state folder for one run of a check, cut off from real providers and servers."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.command import ignore_signals
from workbench.leftovers import kill, processes_below
from workbench.lesson import stop_all
from workbench.state_dir import state_dir, use_state_dir


def forget_real_provider() -> None:
    """Take out of the environment what would send a check to a real model or another server."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "RESTATE_MODE"):
        os.environ.pop(name, None)


@contextmanager
def own_home(prefix: str) -> Iterator[Path]:
    """A new home within the home; in the end all that was started in it has ended, and it is gone.

    The names that begin with `prefix` are known to `workbench.leftovers`.
    """
    forget_real_provider()
    state_dir().mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=state_dir()))
    try:
        with use_state_dir(folder):
            try:
                yield folder
            finally:
                ignore_signals()
                stop_all()
                kill(processes_below(folder))  # also in homes within it, of a child that was killed
    finally:
        shutil.rmtree(folder, ignore_errors=True)
