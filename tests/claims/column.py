"""What the claims are looked at with: a server of one version and an SDK of one version.

All but the ones that are pinned are installed when they are asked for, each into a folder of its
own below `.workbench`, where the next run finds them.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.claims.run_probes import SERVER
from workbench.restate import VERSION, install_server
from workbench.state_dir import REPOSITORY, WorkbenchError

PINNED_SDK = importlib.metadata.version("restate-sdk")


@dataclass(frozen=True)
class Column:
    """One of the two is the pinned one, or both are."""

    server: str = VERSION
    sdk: str = PINNED_SDK

    @property
    def pinned(self) -> bool:
        return self == Column()

    def __str__(self) -> str:
        return f"Restate {self.server}, SDK {self.sdk}"

    def prepare(self, progress: Callable[[str], None]) -> dict[str, str]:
        """Install what is missing; what the probes' process must find in its environment.

        Raises WorkbenchError when a version cannot be had.
        """
        install_server(progress, version=self.server)
        path = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
        if self.sdk != PINNED_SDK:
            path.insert(0, str(_install_sdk(self.sdk, progress)))
        server = "" if self.server == VERSION else self.server
        return {"PYTHONPATH": os.pathsep.join(path), SERVER: server}


def columns(servers: list[str], sdks: list[str]) -> list[Column]:
    """The columns of a matrix, older ones first; the pinned one is there once, and always."""
    wanted = {Column(server=version) for version in servers}
    wanted |= {Column(sdk=version) for version in sdks}
    return sorted(wanted | {Column()}, key=lambda c: (_order(c.server), _order(c.sdk)))


def _order(version: str) -> list[int]:
    return [int(part) for part in version.split("-")[0].split(".") if part.isdecimal()]


def _install_sdk(version: str, progress: Callable[[str], None]) -> Path:
    """A folder with that SDK alone: it stands first on the path, and the rest is this
    environment's.
    """
    folder = REPOSITORY / ".workbench" / f"sdk-{version}"
    if folder.is_dir():
        return folder
    progress(f"Installing restate-sdk {version} with pip")
    folder.parent.mkdir(exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f"sdk-{version}-", dir=folder.parent))
    options = ("--quiet", "--disable-pip-version-check", "--no-input", "--no-deps")
    pip = [sys.executable, "-m", "pip", "install", *options, "--target", str(draft)]
    answer = subprocess.run(
        [*pip, f"restate-sdk=={version}"], capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        shutil.rmtree(draft)
        errors = [line for line in answer.stderr.splitlines() if line.startswith("ERROR: ")]
        said = (errors or ["pip said nothing"])[-1].removeprefix("ERROR: ")
        raise WorkbenchError(
            f"pip could not install restate-sdk {version}: {said}\n"
            "See which releases there are: https://pypi.org/project/restate-sdk/#history"
        )
    draft.rename(folder)
    return folder
