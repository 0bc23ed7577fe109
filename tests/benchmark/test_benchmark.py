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
        assert result.missed == (result.sessions if result.pattern == load.NAIVE else 0)
        assert result.pattern == load.NAIVE or result.late_tokens == 0
    assert sum(result.late_tokens for result in results) > 0
    assert re.search(r"^\| 3 +\|( +\d+\.\d\d / \d+\.\d\d / \d+\.\d\d \|){2}$", text, re.MULTILINE)
    assert re.search(r"^\| 3 +\| this agent +\| +12 \|.* 0% \| +0.00 \|$", text, re.MULTILINE)
    assert "Attempts that failed: 0." in text
    assert "3 sessions, 2 interruptions each …" in lines


def test_long_session(own_stack: Stack) -> None:
    lines: list[str] = []
    parts = long_session.measure(own_stack, turns=12, samples=2, window=4, progress=lines.append)
    text = report.of_long_session(own_stack, parts)

    assert [part.turns for part in parts] == [range(1, 3), range(5, 7), range(11, 13)]
    assert any(line.startswith("a session with 10 turns, after ") for line in lines)
    # The conversation goes to the task, and the window of so short a session is not yet full.
    begin, full, end = (part.costs for part in parts)
    grows = long_session.WRITTEN, long_session.READ, long_session.PROMPT, long_session.STATE
    for name in grows:
        assert begin[name] < full[name] < end[name]
    written, agent, turn = (
        begin[name] for name in (long_session.WRITTEN, long_session.AGENT, long_session.TURN)
    )
    assert len(long_session.MESSAGE) < written < agent < turn
    # In either order: the task is at work before the reply is back.
    assert begin[long_session.ACCEPTED] > 0 < begin[long_session.FIRST_TOKEN]
    assert long_session.failed(parts)
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
