"""Runs the probes of one column in a process of their own, and says how far they are."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.claims.claim import Claim
from tests.claims.column import Column
from workbench.state_dir import REPOSITORY, WorkbenchError, logs

_GRACE_SECONDS = 20.0


@dataclass(frozen=True)
class Result:
    """What came of a probe: an observation, or why there is none."""

    outcome: str
    """`holds`, `differs`, `not there`, `not probed` or `error`."""
    seen: str
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.outcome}: {self.seen}"

    @property
    def verdict(self) -> tuple[str, str]:
        return self.outcome, self.seen


def look(
    claims: list[Claim], column: Column, env: dict[str, str], done: Callable[[Claim], None]
) -> dict[str, Result]:
    """The results by the claims' ids; `done` is called as each comes in.

    Raises WorkbenchError when the probes cannot be run at all.
    """
    by_id = {claim.id: claim for claim in claims}
    results: dict[str, Result] = {}
    # File by file, for what the probes of a file share.
    nodes = sorted(f"tests/claims/{claim.evidence}" for claim in claims)
    with _child(nodes, env) as process:
        assert process.stdout is not None
        for line in process.stdout:
            answer = json.loads(line)
            claim = by_id[answer["claim"]]
            results[claim.id] = Result(answer["outcome"], answer["seen"], answer["seconds"])
            done(claim)
        code = process.wait()
    if code != 0 or results.keys() != by_id.keys():
        log = logs() / "claims.log"
        last = log.read_text(errors="replace").rstrip().splitlines()[-12:]
        raise WorkbenchError(
            f"The probes could not be run with {column} (pytest's exit code {code}). "
            "It said last:\n" + "\n".join(last)
        )
    return results


@contextmanager
def _child(nodes: list[str], env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The process; it is gone, with all that it started, when the block is left."""
    with (logs() / "claims.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.claims.run_probes", *nodes],
            env={**os.environ, **env},
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # Ctrl-C reaches us alone, and we end it in order
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.stdout is not None:
            process.stdout.close()
