"""Both benchmarks run, and see what they are there to see."""

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.benchmark import load, long_session
from tests.benchmark.level import tokens_after
from tests.stack import Stack
from workbench.model import ModelRequest

REPOSITORY = Path(__file__).resolve().parents[2]


def test_load(own_stack: Stack) -> None:
    lines: list[str] = []
    results = load.measure(
        own_stack,
        sessions=[1, 3],
        rounds=2,
        seconds=1,
        tokens_per_second=60,
        progress=lines.append,
    )
    text = load.report(own_stack, results)

    assert [len(result.accepted) for result in results] == [2, 2, 6, 6]
    naive, ours = results[0::2], results[1::2]
    assert not load.failed(results)
    assert [result.late_tokens for result in ours] == [0, 0]
    for result in results:
        assert (result.errors, result.failed_attempts) == (Counter(), 0)
        assert all(seconds > 0 for seconds in result.accepted)
        assert max(result.cores.values()) < os.cpu_count()
        assert min(result.memory.values()) > 10
    for result in ours:  # the new task begins when the old one is over
        assert len(result.cancelled) == len(result.first_token) == len(result.accepted)
        assert max(result.cancelled) <= max(result.accepted)
    # Its second interruption finds nothing to cancel; see tests/lessons/test_naive_pattern.py.
    assert all(result.missed for result in naive)
    assert sum(result.late_tokens for result in naive) > 0
    assert re.search(r"^\| 3 +\| naive +\| +6 \|", text, re.MULTILINE)
    assert "\nErrors:\n" not in text
    assert any(line.startswith("naive: 3 sessions, 6 interruptions") for line in lines)


def test_long_session(own_stack: Stack) -> None:
    lines: list[str] = []
    costs = long_session.measure(own_stack, turns=12, samples=2, window=4, progress=lines.append)
    text = long_session.report(own_stack, costs)

    begin, full, end = costs
    assert [cost.turns for cost in costs] == [range(1, 3), range(5, 7), range(11, 13)]
    assert any(line.startswith("a session with 10 turns, after ") for line in lines)
    assert begin.bytes.written == pytest.approx(end.bytes.written, rel=0.05)
    # The content is read, over and over, and the window of so short a session is not yet full.
    assert len(long_session._MESSAGE) < begin.bytes.written < begin.bytes.agent < begin.bytes.turn
    assert begin.bytes.read < full.bytes.read < end.bytes.read
    assert begin.prompt_tokens < full.prompt_tokens < end.prompt_tokens
    assert begin.state < full.state < end.state
    assert 0 < begin.accepted < begin.first_token
    assert long_session.failed(costs)
    assert "against the full window: " in text
    assert "(more than 1.2)" in text


@pytest.mark.parametrize(
    ("moment", "tokens"), [(9.0, 5), (10.0, 4), (10.5, 4), (11.0, 3), (13.9, 1), (14.0, 0), (15, 0)]
)
def test_tokens_after_a_moment(moment: float, tokens: int) -> None:
    call = ModelRequest(
        number=1,
        label="session/1/plan",
        step="plan",
        status="hung up",
        http_status=200,
        prompt_tokens=1,
        completion_tokens=5,  # at 10, 11, 12, 13, 14
        started_at=9.5,
        first_token_at=10.0,
        last_token_at=14.0,
        ended_at=14.5,
    )
    assert tokens_after(call, moment) == tokens


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
