"""A column of the matrix: a version of the server, one of the SDK, and the tests run with both.

Versions other than the pinned ones are installed when they are asked for, each into a folder of its
own below `.workbench`, where the next run finds them.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.claims.claims import Claim
from workbench.restate import VERSION, install_server
from workbench.state_dir import REPOSITORY, WorkbenchError, state_dir

PINNED_SDK = importlib.metadata.version("restate-sdk")
SERVER, REPORT, ONLY = "CLAIMS_RESTATE", "CLAIMS_REPORT", "CLAIMS_ONLY"
"""Environment of the tests: the server's version, the file for results, the chosen claims."""
VQUEUES = "RESTATE_EXPERIMENTAL_ENABLE_VQUEUES"


class Result(NamedTuple):
    """What a test has found of a claim, or why it has found nothing."""

    outcome: str
    """`holds`, `differs`, `not there`, `not tested` or `error`."""
    observed: str
    evidence: str = ""
    """The test, as pytest names it."""

    def __str__(self) -> str:
        return f"{self.outcome}: {self.observed}"

    @property
    def decided(self) -> bool:
        return self.outcome not in ("not there", "not tested")


@dataclass(frozen=True)
class Column:
    """Differs from the pinned versions in one thing at most."""

    server: str = VERSION
    sdk: str = PINNED_SDK
    vqueues: bool = False

    def __str__(self) -> str:
        return f"Restate {self.server}{' with vqueues' * self.vqueues}, SDK {self.sdk}"

    @property
    def heading(self) -> str:
        """What differs from the pinned versions."""
        if self == Column():
            return f"**{self}**"
        if self.vqueues:
            return "vqueues"
        return f"Restate {self.server}" if self.sdk == PINNED_SDK else f"SDK {self.sdk}"

    def prepare(self, progress: Callable[[str], None]) -> dict[str, str]:
        """Install what is missing; the environment variables for the tests come back.

        Raises WorkbenchError if a version cannot be installed.
        """
        install_server(progress, version=self.server)
        path = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
        if self.sdk != PINNED_SDK:
            path.insert(0, str(_install_sdk(self.sdk, progress)))
        return {
            "PYTHONPATH": os.pathsep.join(path),
            SERVER: "" if self.server == VERSION else self.server,
            VQUEUES: str(self.vqueues).lower(),
        }


def columns(servers: list[str], sdks: list[str], vqueues: bool = False) -> list[Column]:
    """The columns of a matrix; the pinned one is always there, and once, after other versions."""
    others = [Column(server=version) for version in servers]
    others += [Column(sdk=version) for version in sdks]
    last = [Column(), Column(vqueues=vqueues)]
    return list(dict.fromkeys([*(c for c in others if c != Column()), *last]))


def run_tests(
    claims: list[Claim], column: Column, env: dict[str, str], logs: Path
) -> dict[str, Result]:
    """Test the claims in a process of their own; the results by the claims' ids.

    What pytest says goes into a file in the folder `logs`. Raises WorkbenchError if the tests
    cannot be run at all.
    """
    home = state_dir()
    report, log = home / "claims.jsonl", logs / f"{re.sub('[, ]+', '-', str(column)).lower()}.log"
    report.write_text("")
    only = " ".join(claim.id for claim in claims)
    command = [sys.executable, "-m", "pytest", str(Path(__file__).parent), "-q", "-p", "no:xdist"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "-p", "no:cacheprovider", f"--basetemp={home / 'pytest'}"],
            env={**os.environ, **env, REPORT: str(report), ONLY: only},
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches only us, and we end the tests in order
        )
    try:
        process.wait()
    finally:
        _end(process)
    results = {id: Result(*found) for id, found in map(json.loads, report.read_text().splitlines())}
    if process.returncode not in (0, 1) or results.keys() != {claim.id for claim in claims}:
        last = "\n".join(log.read_text(errors="replace").rstrip().splitlines()[-12:])
        raise WorkbenchError(
            f"The tests could not be run with {column} (pytest's exit code "
            f"{process.returncode}). It ended:\n{last}"
        )
    return results


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the tests, with all that they have started."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20.0)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _install_sdk(version: str, progress: Callable[[str], None]) -> Path:
    """A folder with that SDK alone: it stands first on the path, all else is this environment's."""
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
