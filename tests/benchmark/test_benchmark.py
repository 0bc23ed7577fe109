"""Both benchmarks run, and see what they are there to see."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.benchmark import load, long_session, report
from tests.stack import Stack

REPOSITORY = Path(__file__).resolve().parents[2]


def test_load(own_stack: Stack) -> None:
    lines: list[str] = []
    results = load.measure(own_stack, [1, 3], runs=2, rounds=2, progress=lines.append)
    text = report.of_load(own_stack, results)

    order = [load.NAIVE, load.PLAIN, load.OURS, load.PLAIN, load.OURS]
    assert [result.pattern for result in results] == order * 2
    assert [len(result.first_request) for result in results] == [2] * 5 + [6] * 5
    assert not load.failed(results)
    for result in results:
        assert min(result.first_request) > 0
        # Its second interruption finds nothing to cancel.
        assert result.missed == (result.sessions if result.pattern is load.NAIVE else 0)
        assert result.pattern is load.NAIVE or result.late_tokens == 0
    assert sum(result.late_tokens for result in results) > 0
    assert re.search(r"^\| 3 +\|( +\d+\.\d\d / \d+\.\d\d / \d+\.\d\d \|){2}$", text, re.MULTILINE)
    assert re.search(r"^\| 3 +\| this agent +\| +12 \|.* 0% \| +0.00 \|$", text, re.MULTILINE)
    assert "Attempts that failed: 0." in text
    assert "3 sessions, 2 interruptions each …" in lines


def test_long_session(own_stack: Stack) -> None:
    lines: list[str] = []
    costs = long_session.measure(own_stack, turns=12, samples=2, window=4, progress=lines.append)
    text = report.of_long_session(own_stack, costs)

    begin, full, end = costs
    assert [cost.turns for cost in costs] == [range(1, 3), range(5, 7), range(11, 13)]
    assert any(line.startswith("a session with 10 turns, after ") for line in lines)
    # The conversation goes to the task, and the window of so short a session is not yet full.
    assert begin.bytes.written < full.bytes.written < end.bytes.written
    assert len(long_session.MESSAGE) < begin.bytes.written < begin.bytes.agent < begin.bytes.turn
    assert begin.bytes.read < full.bytes.read < end.bytes.read
    assert begin.prompt_tokens < full.prompt_tokens < end.prompt_tokens
    assert begin.state < full.state < end.state
    assert 0 < begin.accepted < begin.first_token
    assert long_session.failed(costs)
    assert "against the full window: " in text
    assert "(more than 1.2)" in text


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.benchmark", "load", "--sessions", "5", "--rounds", "1000"],
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
