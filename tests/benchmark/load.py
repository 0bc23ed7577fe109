"""`load`: interrupt 1 to 1,000 sessions at once, the naive pattern for comparison."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from tests.benchmark.figures import conditions, markdown, percentiles
from tests.benchmark.level import Level, Result, run_level
from tests.benchmark.patterns import Pattern, agent_of, start_naive
from tests.stack import Stack

_FIRST_TOKEN_SECONDS = 0.05
_FASTEST_STREAM = 20.0  # tokens per second
_BUSY = 0.9  # of one core: a Python process that is busier than that makes others wait


def measure(
    stack: Stack,
    *,
    sessions: Sequence[int],
    rounds: int,
    seconds: float,
    tokens_per_second: float,
    progress: Callable[[str], None],
) -> list[Result]:
    """Run every level with both patterns, one after the other."""
    stack.model.set(tokens_per_second=_FASTEST_STREAM, first_token_seconds=_FIRST_TOKEN_SECONDS)
    naive, ours = start_naive(stack), agent_of(stack)
    for pattern in (naive, ours):
        progress(f"{pattern.name}: warming up")
        asyncio.run(run_level(stack, pattern, Level(2, 3, seconds, _FASTEST_STREAM)))
    runs = [(pattern, count) for count in sessions for pattern in (naive, ours)]
    return [
        _run(
            stack,
            pattern,
            Level(
                sessions=count,
                rounds=rounds,
                seconds=seconds,
                tokens_per_second=min(_FASTEST_STREAM, tokens_per_second / count),
                to_be_ended=number < len(runs),
            ),
            progress,
        )
        for number, (pattern, count) in enumerate(runs, start=1)
    ]


def _run(stack: Stack, pattern: Pattern, level: Level, progress: Callable[[str], None]) -> Result:
    began = time.monotonic()
    stack.model.set(tokens_per_second=level.tokens_per_second)
    progress(f"{pattern.name}: {level.sessions:,} sessions …")
    result = asyncio.run(run_level(stack, pattern, level))
    progress(
        f"{pattern.name}: {level.sessions:,} sessions, {len(result.accepted):,} interruptions, "
        f"{result.missed:,} missed, {result.errors.total()} errors; "
        f"{time.monotonic() - began:.0f} s with opening and ending"
    )
    for error, count in result.errors.most_common(3):
        progress(f"  {count:,} × {error}")
    return result


def failed(results: list[Result]) -> bool:
    """Whether the agent had errors or missed an interruption."""
    ours = [result for result in results if result.pattern.stops]
    return any(result.errors or result.missed for result in ours)


def report(stack: Stack, results: list[Result]) -> str:
    """The results in Markdown."""
    errors = [
        f"- {_name(result)}: {count} × {error}"
        for result in results
        for error, count in result.errors.items()
    ]
    return "\n".join(
        [
            "# Interruptions under load",
            "",
            f"{conditions(stack)} Server, agent, model and client share the machine. The "
            f"model takes {_FIRST_TOKEN_SECONDS * 1000:.0f} ms for a first token. Each session "
            "interrupts its task as soon as that is on record.",
            "",
            markdown([_speed(result) for result in results], names=2),
            "",
            "ms are p50 / p95 / p99 from the moment the interrupting message is sent: until it is "
            "answered; until the old task's invocation is completed "
            "(`sys_invocation.completed_at`, of tasks that were cancelled; the answer also holds "
            "what comes after); until the model streams the new task's first token (its own "
            "record).",
            "",
            markdown([_correctness(result) for result in results], names=2),
            "",
            "missed: the old task was still being answered by the model when the new one got its "
            "first token. Tokens: those that the old task got after the new message was answered, "
            "until the level's end, mean per interruption. Failed attempts: invocations of which "
            "one failed, and Restate made another. Errors: what a client or the model saw of it, "
            "or a task that ended by itself.",
            "",
            markdown([_cost(result) for result in results], names=2),
            "",
            "MB: resident set size at the end of the level, in the order of the levels. Cores: "
            "CPU time over the rounds, 1.00 is one core.",
            *_bottlenecks(results),
            *(["", "Errors:", "", *errors] if errors else []),
            "",
        ]
    )


def _name(result: Result) -> str:
    return f"{result.level.sessions:,} sessions, {result.pattern.name}"


def _head(result: Result) -> dict[str, str]:
    return {"sessions": f"{result.level.sessions:,}", "pattern": result.pattern.name}


def _speed(result: Result) -> dict[str, str]:
    return {
        **_head(result),
        "interruptions": f"{len(result.accepted):,}",
        "per second": f"{len(result.accepted) / result.seconds:,.1f}",
        "accepted, ms": percentiles(result.accepted),
        "old task over, ms": percentiles(result.cancelled),
        "new first token, ms": percentiles(result.first_token),
    }


def _correctness(result: Result) -> dict[str, str]:
    count = max(1, len(result.accepted))
    return {
        **_head(result),
        "interruptions": f"{len(result.accepted):,}",
        "missed": f"{result.missed:,} ({result.missed / count:.0%})",
        "tokens/s per stream": f"{result.level.tokens_per_second:g}",
        "tokens after acceptance": f"{result.late_tokens / count:,.2f}",
        "failed attempts": f"{result.failed_attempts:,}",
        "errors": f"{result.errors.total():,}",
    }


def _cost(result: Result) -> dict[str, str]:
    return {
        **_head(result),
        "agent, MB": f"{result.memory['agent']:,.0f}",
        "server, MB": f"{result.memory['server']:,.0f}",
        **{f"{name}, cores": f"{cores:.2f}" for name, cores in result.cores.items()},
    }


def _bottlenecks(results: list[Result]) -> list[str]:
    """Which single-threaded processes had no time left, for which level."""
    found = [
        f"- {_name(result)}: the {name} used {result.cores[name]:.0%} of the one core it can use."
        for result in results
        for name in ("agent", "model", "client")
        if result.cores[name] > _BUSY
    ]
    return ["", "Bottlenecks:", "", *found] if found else []
