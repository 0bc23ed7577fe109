"""`load`: what an interruption costs with this agent, as a multiple of the plain pattern."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence

import httpx

from tests.benchmark.figures import conditions, markdown
from tests.benchmark.interruptions import Pattern, Run, run
from tests.stack import Stack
from workbench import process
from workbench.loopback import free_port
from workbench.state_dir import REPOSITORY

_FIRST_TOKEN_SECONDS = 0.02

NAIVE = Pattern("naive", agent="NaiveAgent")
PLAIN = Pattern("plain", agent="PlainAgent")
OURS = Pattern("this agent", agent="CodingAgent")


def measure(
    stack: Stack,
    sessions: Sequence[int],
    runs: int,
    rounds: int | None,
    progress: Callable[[str], None],
) -> list[Run]:
    """At each level one run of the naive pattern, then `runs` pairs of plain and this agent."""
    _start_plain_agent(stack)
    stack.model.set(first_token_seconds=_FIRST_TOKEN_SECONDS)
    progress("warming up")
    for pattern in (NAIVE, PLAIN, OURS):
        run(stack, pattern, sessions=2, rounds=4, tokens_per_second=20)
    results = []
    for count in sessions:
        each = rounds or max(2, min(60, 160 // count))
        pace = min(20, 500 / count)  # what the model can do, and no plan is complete too soon
        progress(f"{count:,} sessions, {each} interruptions each …")
        for pattern in (NAIVE, *(PLAIN, OURS) * runs):
            result = run(stack, pattern, sessions=count, rounds=each, tokens_per_second=pace)
            results.append(result)
            progress(
                f"  {pattern.name}: first request after {1000 * _p50(result):.0f} ms, "
                f"{_per_second(result):.1f} interruptions/s, {result.missed} missed"
            )
    return results


def _start_plain_agent(stack: Stack) -> None:
    url = f"http://127.0.0.1:{(port := free_port())}"
    running = process.start(
        "plain",
        [sys.executable, "-m", "tests.benchmark.plain_agent", str(port)],
        env={"OPENAI_BASE_URL": stack.model.base_url},
        cwd=REPOSITORY,
    )

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/health", trust_env=False, verify=False).is_success
        except httpx.TransportError:
            return False

    running.wait_ready(answers)
    stack.admin.register(url)


def failed(results: list[Run]) -> bool:
    """Whether the agent missed an interruption."""
    return any(result.missed for result in results if result.pattern is OURS)


def report(stack: Stack, results: list[Run]) -> str:
    """The results in Markdown."""
    levels = list(dict.fromkeys(result.sessions for result in results))
    failed_attempts = stack.count("sys_journal_events", "event_type = 'TransientError'")
    rows = [_row(results, count, each) for count in levels for each in (NAIVE, PLAIN, OURS)]
    return f"""# Interruptions under load

{conditions(stack)} Server, agents, model and client share the machine. \
The model takes {1000 * _FIRST_TOKEN_SECONDS:.0f} ms for a first token; each session interrupts \
its task when that has come. Attempts that failed: {failed_attempts}.

{markdown([_ratios(results, count) for count in levels])}

This agent / plain: min / median / max of the pairs of runs, which took turns.

{markdown(rows, names=2)}

First request: from sending the interrupting message to the arrival of the new task's first \
request at the model (its own record). Missed: the model was still answering the old task when the \
new one got its first token. Tokens: those that the old task got after the new message was \
answered, mean per interruption.
"""


def _ratios(results: list[Run], sessions: int) -> dict[str, str]:
    plain, ours = _runs(results, sessions, PLAIN), _runs(results, sessions, OURS)

    def ratio(of: Callable[[Run], float]) -> str:
        found = [of(b) / of(a) for a, b in zip(plain, ours, strict=True)]
        return f"{min(found):.2f} / {statistics.median(found):.2f} / {max(found):.2f}"

    return {
        "sessions": f"{sessions:,}",
        "first request (p50)": ratio(_p50),
        "interruptions/s": ratio(_per_second),
    }


def _row(results: list[Run], sessions: int, pattern: Pattern) -> dict[str, str]:
    runs = _runs(results, sessions, pattern)
    milliseconds = [1000 * each for result in runs for each in result.first_request]
    count = len(milliseconds)
    return {
        "sessions": f"{sessions:,}",
        "pattern": pattern.name,
        "interruptions": f"{count:,}",
        "first request, ms (p50)": f"{statistics.median(milliseconds):,.0f}",
        "(p95)": f"{statistics.quantiles(milliseconds, n=20)[-1]:,.0f}",
        "interruptions/s": f"{count / sum(result.seconds for result in runs):,.1f}",
        "missed": f"{sum(result.missed for result in runs) / count:.0%}",
        "tokens after acceptance": f"{sum(result.late_tokens for result in runs) / count:.2f}",
    }


def _runs(results: list[Run], sessions: int, pattern: Pattern) -> list[Run]:
    return [each for each in results if (each.sessions, each.pattern) == (sessions, pattern)]


def _p50(result: Run) -> float:
    return statistics.median(result.first_request)


def _per_second(result: Run) -> float:
    return len(result.first_request) / result.seconds
