"""One level of the load benchmark: so many sessions of one pattern, all at once."""

from __future__ import annotations

import asyncio
import math
import os
import time
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.benchmark.first_tokens import FirstTokens, turn_of
from tests.benchmark.patterns import Pattern
from tests.benchmark.processes import Meter
from tests.benchmark.sessions import Interruption, Session
from tests.stack import Stack
from workbench import process
from workbench.errors import WorkbenchError
from workbench.model import ModelRequest

_ENDING = 120.0
_OPENED_AT_ONCE = 50


@dataclass(frozen=True)
class Level:
    """What is to be done; `seconds` bounds the rounds, see `Session.interrupt`."""

    sessions: int
    rounds: int
    seconds: float
    tokens_per_second: float
    to_be_ended: bool = True
    """Whether something follows, for which there has to be quiet."""


@dataclass(frozen=True)
class Result:
    """What was seen. Lists hold seconds, one for each interruption that has such a duration."""

    level: Level
    pattern: Pattern
    seconds: float
    accepted: list[float]
    cancelled: list[float]
    first_token: list[float]
    late_tokens: int
    missed: int
    errors: Counter[str]
    failed_attempts: int
    """Invocations of which an attempt failed and Restate made another."""
    memory: dict[str, float]
    cores: dict[str, float]


async def run_level(stack: Stack, pattern: Pattern, level: Level) -> Result:
    """Open the sessions, then let all of them interrupt; nothing is left at work."""
    tokens = FirstTokens(stack.model)
    run = uuid.uuid4().hex[:8]
    sessions = [
        Session(pattern, f"load-{run}-{number}", stack.restate.ingress_url, tokens)
        for number in range(level.sessions)
    ]
    failed_before = await asyncio.to_thread(_failed_attempts, stack)
    try:
        async with tokens.watched():
            await _open(sessions)
            meter = Meter(_pids(stack, pattern))
            began = time.monotonic()
            until = began + level.seconds
            await asyncio.gather(*(each.interrupt(level.rounds, until) for each in sessions))
            seconds = time.monotonic() - began
        cores, memory = meter.cores(), meter.memory()
        requests = tokens.records()
        tasks = await asyncio.to_thread(_tasks, stack, pattern)
        failed_attempts = await asyncio.to_thread(_failed_attempts, stack) - failed_before
        if level.to_be_ended:
            await _end(stack, pattern, sessions)
    finally:
        await asyncio.gather(*(session.close() for session in sessions))

    interruptions = [each for session in sessions for each in session.interruptions]
    calls = _by_turn(requests)
    errors = Counter(error for session in sessions for error in session.errors)
    errors += _errors(interruptions, requests, tasks)
    return Result(
        level=level,
        pattern=pattern,
        seconds=seconds,
        accepted=[each.answered_at - each.sent_at for each in interruptions],
        cancelled=[
            _seconds(tasks[each.old_task]["completed_at"]) - each.sent_at
            for each in interruptions
            if _was_cancelled(tasks[each.old_task])
        ],
        first_token=[_first_token(calls, each) - each.sent_at for each in interruptions],
        late_tokens=sum(_late_tokens(calls, each) for each in interruptions),
        missed=sum(_was_missed(calls, each) for each in interruptions),
        errors=errors,
        failed_attempts=failed_attempts,
        memory=memory,
        cores=cores,
    )


async def _open(sessions: list[Session]) -> None:
    """Open the sessions, a few at a time: that is not what is measured."""
    few = asyncio.Semaphore(_OPENED_AT_ONCE)

    async def open_one(session: Session) -> None:
        async with few:
            await session.open()

    await asyncio.gather(*map(open_one, sessions))


def _pids(stack: Stack, pattern: Pattern) -> dict[str, int]:
    started = {name: process.find(name) for name in ("restate", "model")}
    assert started["restate"], "the server is embedded, or else its memory is not seen"
    assert started["model"]
    return {
        "agent": pattern.pid,
        "server": started["restate"].pid,
        "model": started["model"].pid,
        "client": os.getpid(),
    }


# What the server knows


def _tasks(stack: Stack, pattern: Pattern) -> dict[str, dict[str, Any]]:
    """The rows of all tasks of a pattern by id."""
    rows = stack.admin.query(
        "SELECT id, status, completed_at, completion_failure FROM sys_invocation "
        f"WHERE target_service_name = '{pattern.task}' AND target_handler_name = 'run_task'"
    )
    return {row["id"]: row for row in rows}


def _failed_attempts(stack: Stack) -> int:
    """Of how many invocations an attempt has failed so far. One that fails again counts once."""
    rows = stack.admin.query(
        "SELECT count(DISTINCT id) AS n FROM sys_journal_events WHERE event_type = 'TransientError'"
    )
    return int(rows[0]["n"])


def _was_cancelled(task: dict[str, Any]) -> bool:
    return bool(task.get("completion_failure") == "[409] cancelled")


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()


# What the model knows


def _by_turn(requests: list[ModelRequest]) -> dict[str, list[ModelRequest]]:
    calls = defaultdict(list)
    for request in requests:
        calls[turn_of(request)].append(request)
    return calls


def _first_token(calls: dict[str, list[ModelRequest]], each: Interruption) -> float:
    new = calls[f"{each.session}/{each.turn}"]
    return min(call.first_token_at for call in new if call.first_token_at is not None)


def _was_missed(calls: dict[str, list[ModelRequest]], each: Interruption) -> bool:
    """Whether the old task was still being answered when the new one got its first token."""
    began = _first_token(calls, each)
    old = calls[f"{each.session}/{each.turn - 1}"]
    return any(call.ended_at is None or call.ended_at > began for call in old)


def _late_tokens(calls: dict[str, list[ModelRequest]], each: Interruption) -> int:
    """How many tokens the old task got after the new message was answered, until now."""
    old = calls[f"{each.session}/{each.turn - 1}"]
    return sum(tokens_after(call, each.answered_at) for call in old)


def tokens_after(call: ModelRequest, moment: float) -> int:
    """How many of a call's tokens came after `moment`.

    The record has the times of the first and the last one; in between they came evenly.
    """
    first, last, count = call.first_token_at, call.last_token_at, call.completion_tokens
    if first is None or last is None or last <= moment:
        return 0
    if first > moment or count == 1:
        return count
    return math.ceil((last - moment) / (last - first) * (count - 1))


# Errors and the end


def _errors(
    interruptions: list[Interruption],
    requests: list[ModelRequest],
    tasks: dict[str, dict[str, Any]],
) -> Counter[str]:
    """What no client was told of."""
    found: Counter[str] = Counter()
    for each in interruptions:
        task = tasks[each.old_task]
        if task.get("completion_failure") and not _was_cancelled(task):
            found[f"a task failed: {task['completion_failure'][:60]}"] += 1
        elif task["status"] == "completed" and _seconds(task["completed_at"]) < each.sent_at:
            found["a task was over before it was interrupted"] += 1
    again = len(requests) - len({request.label for request in requests})
    if again:
        found["a model call was made again"] = again
    return found


async def _end(stack: Stack, pattern: Pattern, sessions: list[Session]) -> None:
    """Stop what is at work, kill what cannot be stopped, wait until all is over."""
    if pattern.stops:
        await asyncio.gather(*(session.stop() for session in sessions))
    else:
        await _kill_tasks(stack, pattern)

    # In short steps, for a thread cannot be interrupted.
    deadline = time.monotonic() + _ENDING
    while await asyncio.to_thread(stack.count, "sys_invocation", "status != 'completed'"):
        if time.monotonic() > deadline:
            raise WorkbenchError(f"After {_ENDING:g} s there are still invocations at work.")
        await asyncio.sleep(0.25)


async def _kill_tasks(stack: Stack, pattern: Pattern) -> None:
    for id, task in (await asyncio.to_thread(_tasks, stack, pattern)).items():
        if task["status"] != "completed":
            path = f"/invocations/{id}/kill"
            await asyncio.to_thread(stack.admin.patch, path, allow=(404, 409))
