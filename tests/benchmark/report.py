"""What the benchmarks say: Markdown tables, and what a reader must know of the machine."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable

from tabulate import tabulate

from tests.benchmark.load import AGENTS, FIRST_TOKEN_SECONDS, OURS, PLAIN, Run
from tests.benchmark.long_session import LIMIT, MESSAGE, TOKENS_PER_SECOND, Part, ratios
from tests.stack import Stack


def of_load(stack: Stack, results: list[Run]) -> str:
    """The results in Markdown."""
    levels = list(dict.fromkeys(result.sessions for result in results))
    failed_attempts = stack.count("sys_journal_events", "event_type = 'TransientError'")
    rows = [_row(results, count, each) for count in levels for each in AGENTS]
    return f"""# Interruptions under load

{_conditions(stack)} Server, agents, model and client share the machine. \
The model takes {1000 * FIRST_TOKEN_SECONDS:.0f} ms for a first token; each session interrupts \
its task when that has come. Attempts that failed: {failed_attempts}.

{_markdown([_ratios(results, count) for count in levels])}

This agent / plain: min / median / max of the pairs of runs, which took turns.

{_markdown(rows, names=2)}

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
        "first request (p50)": ratio(lambda result: result.p50),
        "interruptions/s": ratio(lambda result: result.per_second),
    }


def _row(results: list[Run], sessions: int, pattern: str) -> dict[str, str]:
    runs = _runs(results, sessions, pattern)
    milliseconds = [1000 * each for result in runs for each in result.first_request]
    count = len(milliseconds)
    return {
        "sessions": f"{sessions:,}",
        "pattern": pattern,
        "interruptions": f"{count:,}",
        "first request, ms (p50)": f"{statistics.median(milliseconds):,.0f}",
        "(p95)": f"{statistics.quantiles(milliseconds, n=20)[-1]:,.0f}",
        "interruptions/s": f"{count / sum(result.seconds for result in runs):,.1f}",
        "missed": f"{sum(result.missed for result in runs) / count:.0%}",
        "tokens after acceptance": f"{sum(result.late_tokens for result in runs) / count:.2f}",
    }


def _runs(results: list[Run], sessions: int, pattern: str) -> list[Run]:
    return [each for each in results if (each.sessions, each.pattern) == (sessions, pattern)]


def of_long_session(stack: Stack, parts: list[Part]) -> str:
    """The costs in Markdown."""
    _, full, end = parts
    table = [
        {"": name} | {_turns(part): _number(name, part.costs[name]) for part in parts}
        for name in full.costs
    ]
    verdicts = "\n".join(
        f"- {what}: {ratio:.2f}" + ("" if ratio <= LIMIT else f" (more than {LIMIT:g})")
        for what, ratio in ratios(parts).items()
    )
    return f"""# A long session

{_conditions(stack)} Three sessions, the longest with {end.turns.stop - 1:,} turns, with messages \
of {len(MESSAGE):,} characters; the model streams {TOKENS_PER_SECOND:,.0f} tokens/s and waits for \
nothing. The turns of the table are measured side by side, a turn of each session after the other; \
each begins in an idle session and comes to its end.

{_markdown(table)}

Medians. Accepted: message sent → answered. First token: message sent → first token at the model \
(its own record). Written and read: the sum of `sys_journal.raw_length` of the entries `SetState` \
and `ClearState`, and of the results of the state reads, of all CodingAgent invocations that the \
message has caused, its own included. Journal: `raw_length` of all their entries, and of all \
entries of all invocations that it has caused. State of the session: the length of all values of \
CodingAgent, Workspace and UsageMeter under its key.

The end against the begin, or against {_turns(full)}, where the model is shown as much as it ever \
is; {LIMIT:g} at most:

{verdicts}
"""


def _turns(part: Part) -> str:
    return f"turns {part.turns.start:,}–{part.turns.stop - 1:,}"


def _number(name: str, value: float) -> str:
    return f"{value:,.1f}" if name.endswith("ms") else f"{value:,.0f}"


def _markdown(rows: list[dict[str, str]], *, names: int = 1) -> str:
    """A Markdown table; the rows' keys are its headings, and all but the first few are numbers."""
    alignment = ["left" if column < names else "right" for column in range(len(rows[0]))]
    return tabulate(
        rows, headers="keys", tablefmt="pipe", disable_numparse=True, colalign=alignment
    )


def _conditions(stack: Stack) -> str:
    """Where it was measured; the load is that of the last minute, the benchmark's own included."""
    return (
        f"{os.cpu_count()} cores ({platform.system()} {platform.machine()}), Python "
        f"{platform.python_version()}, Restate {stack.restate.version} (embedded), "
        f"load average {os.getloadavg()[0]:.1f} at the end."
    )
