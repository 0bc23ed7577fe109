"""The benchmark runs, and sees what it is there to see."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.benchmark import load
from tests.benchmark.report import report
from tests.stack import Stack

REPOSITORY = Path(__file__).resolve().parents[2]


def test_load(own_stack: Stack) -> None:
    lines: list[str] = []
    results = load.measure(own_stack, [1, 3], runs=1, rounds=2, progress=lines.append)
    text = report(own_stack, results)

    order = [load.NAIVE, load.PLAIN, load.OURS]
    assert [result.pattern for result in results] == order * 2
    assert [len(result.first_request) for result in results] == [2] * 3 + [6] * 3
    assert not load.failed(results)
    for result in results:
        assert min(result.first_request) > 0
        # Its second interruption finds nothing to cancel.
        assert result.missed == (result.sessions if result.pattern == load.NAIVE else 0)
        assert result.pattern == load.NAIVE or result.late_tokens == 0
    assert sum(result.late_tokens for result in results) > 0
    assert re.search(r"^\| 3 +\| this agent +\| +6 \|.* 0% \| +0.00 \|$", text, re.MULTILINE)
    assert "Attempts that failed: 0." in text
    assert "3 sessions, 2 interruptions each …" in lines


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.benchmark", "--sessions", "5", "--rounds", "1000"],
        cwd=REPOSITORY,
        env={**os.environ, "WORKBENCH_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as benchmark:
        assert benchmark.stderr
        assert benchmark.stdout
        said = iter(benchmark.stderr.readline, "")
        assert any("5 sessions" in line for line in said)
        benchmark.send_signal(signal.SIGINT)
        assert "Interrupted; all that was started has ended.\n" in list(said)
        assert benchmark.wait() == 130
        assert benchmark.stdout.read() == ""
    assert list(tmp_path.iterdir()) == []
