"""`python -m tests.claims.run_probes NODE…`: run probes, and write what comes of each to stdout.

One JSON object a line: `claim`, `outcome` (`holds`, `differs`, `not there`, `not probed`, `error`),
`seen`, and `seconds`. Everything else, pytest's report and what the handlers print, goes to stderr.
`$CLAIMS_RESTATE` is the version of the server that is looked at.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, TextIO

import pytest

from tests.claims.claim import load_claims

SERVER = "CLAIMS_RESTATE"
OBSERVED = "observed"

_NOT_THERE = "tests.claims.probe.NotThere: "


class _Reporter:
    """Writes a line for each probe that is over."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._claims = {f"tests/claims/{c.evidence}": c.id for c in load_claims().values()}
        self._results: dict[str, dict[str, Any]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        result = self._results.setdefault(
            report.nodeid, {"claim": self._claims[report.nodeid], "seconds": 0.0}
        )
        result["seconds"] += report.duration
        seen: Any = dict(report.user_properties).get(OBSERVED, {})
        result.update(seen)
        if report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else "skipped"
            result.update(outcome="not probed", seen=str(reason).removeprefix("Skipped: "))
        elif report.failed and ("outcome" not in result or report.when == "teardown"):
            result.update(_failure(report))
        if report.when == "teardown":
            print(json.dumps(result), file=self._out, flush=True)


def _failure(report: pytest.TestReport) -> dict[str, str]:
    """What a probe that could not decide has to say."""
    crash = getattr(report.longrepr, "reprcrash", None)
    said = str(crash.message if crash else report.longrepr)
    if said.startswith(_NOT_THERE):  # raised where the probe's fixtures are made
        return {"outcome": "not there", "seen": said.removeprefix(_NOT_THERE)}
    return {"outcome": "error", "seen": said}


def main(nodes: list[str]) -> int:
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else is printed
    options = ["-p", "no:cacheprovider", "-p", "no:xdist", "-q", "--no-header"]
    if home := os.environ.get("WORKBENCH_HOME"):
        options.append(f"--basetemp={home}/pytest")
    code = pytest.main([*options, *nodes], plugins=[_Reporter(out)])
    return 0 if code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) else int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
