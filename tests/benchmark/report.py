"""What the benchmark says: a Markdown table, and what a reader must know of the machine."""

from __future__ import annotations

import os
import platform
import statistics

from tabulate import tabulate

from tests.benchmark.load import AGENTS, FIRST_TOKEN_SECONDS, Run
from tests.stack import Stack


def report(stack: Stack, results: list[Run]) -> str:
    """The results in Markdown."""
    levels = dict.fromkeys(result.sessions for result in results)
    failed_attempts = stack.count("sys_journal_events", "event_type = 'TransientError'")
    rows = [_row(results, count, each) for count in levels for each in AGENTS]
    aligned = ["left", "left", *["right"] * (len(rows[0]) - 2)]
    table = tabulate(rows, headers="keys", tablefmt="pipe", disable_numparse=True, colalign=aligned)
    return f"""# Interruptions under load

{os.cpu_count()} cores ({platform.system()} {platform.machine()}), Python \
{platform.python_version()}, Restate {stack.restate.version} (embedded), load average \
{os.getloadavg()[0]:.1f} at the end, the benchmark's own included. Server, agents, model and \
client share the machine. The model takes {1000 * FIRST_TOKEN_SECONDS:.0f} ms for a first token; \
each session interrupts \
its task when that has come. Attempts that failed: {failed_attempts}.

{table}

First request: from sending the interrupting message to the arrival of the new task's first \
request at the model (its own record). Missed: the model was still answering the old task when the \
new one got its first token. Tokens: those that the old task got after the new message was \
answered, mean per interruption.
"""


def _row(results: list[Run], sessions: int, pattern: str) -> dict[str, str]:
    runs = [each for each in results if (each.sessions, each.pattern) == (sessions, pattern)]
    milliseconds = [1000 * each for result in runs for each in result.first_request]
    count = len(milliseconds)
    return {
        "sessions": f"{sessions:,}",
        "pattern": pattern,
        "interruptions": f"{count:,}",
        "interruptions/s": f"{count / sum(result.seconds for result in runs):,.1f}",
        "first request, ms (p50)": f"{statistics.median(milliseconds):,.0f}",
        "(p95)": f"{statistics.quantiles(milliseconds, n=20)[-1]:,.0f}",
        "missed": f"{sum(result.missed for result in runs) / count:.0%}",
        "tokens after acceptance": f"{sum(result.late_tokens for result in runs) / count:.2f}",
    }
