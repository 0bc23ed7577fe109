"""`long-session`: what a message costs at turn 1,000, against the first ones."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tests.stack import Session, Stack

LIMIT = 1.2
"""No ratio may be above that."""

# As fast as the scripted model can be: what is measured is the agent and the server.
TOKENS_PER_SECOND = 10_000.0

# 1,200 tokens, at four characters each: twenty such turns fill the agent's context.
MESSAGE = "Write a greeter, and mind what was said about names and greetings. " * 71

# What is measured. All but the first three are lengths; see the report for what is counted.
ACCEPTED, FIRST_TOKEN, PROMPT = "accepted, ms", "first token, ms", "tokens of the prompt"
WRITTEN, READ = "state written, bytes", "state read, bytes"
AGENT, TURN = "journal of CodingAgent, bytes", "journal of the whole turn, bytes"
STATE = "state of the session afterwards, bytes"

_WRITES = ("SetState", "ClearState")
_READS = ("GetLazyState", "GetEagerState")


@dataclass(frozen=True)
class Part:
    """Some turns of a session, and the medians of what one of them costs, by name and unit."""

    turns: range
    costs: dict[str, float]


def measure(
    stack: Stack,
    *,
    turns: int,
    samples: int = 20,
    window: int = 30,
    progress: Callable[[str], None],
) -> list[Part]:
    """The costs of the first turns of a session, of those at which the model is shown as much as it
    ever is, and of the last of so many `turns`.

    There is a session for each, and a turn of one is followed by a turn of the next: whatever else
    the machine does, and however warm it is by then, it is the same for all three.

    Args:
        samples: how many turns are measured.
        window: as many turns as the model is shown, or more.
    """
    stack.model.set(tokens_per_second=TOKENS_PER_SECOND, first_token_seconds=0.0)
    starts = (0, window, turns - samples)
    sessions = [_with_turns(stack, start, window, progress) for start in starts]
    progress(f"measuring {samples} turns of {len(sessions)} sessions")
    measured = [[_whole_turn(session) for session in sessions] for _ in range(samples)]
    progress("reading the journals")
    parts = []
    of_sessions = zip(*measured, strict=True)
    for start, session, of_session in zip(starts, sessions, of_sessions, strict=True):
        medians = _medians([costs for _, costs in of_session])
        medians |= _medians(_bytes_of_turns(stack, [task for task, _ in of_session]))
        medians[STATE] = _state_bytes(stack, session.key)
        parts.append(Part(range(start + 1, start + samples + 1), medians))
    return parts


def _with_turns(stack: Stack, turns: int, window: int, progress: Callable[[str], None]) -> Session:
    """A session that has so many turns. Those that the model is still shown came to their end; the
    others were interrupted by the next message, which is faster.
    """
    session, began = stack.session(), time.monotonic()
    for turn in range(1, turns + 1):
        if turn <= turns - window:
            session.call("message", {"content": MESSAGE})
        else:
            _whole_turn(session)
        if turn % 100 == 0 or turn == turns:
            progress(f"a session with {turn:,} turns, after {time.monotonic() - began:.0f} s")
    return session


def _medians(costs: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(each[name] for each in costs) for name in costs[0]}


def _whole_turn(session: Session) -> tuple[str, dict[str, float]]:
    """A message to an idle session, and its task to the end: the task's id, and what it cost."""
    sent_at = time.time()
    answer = session.call("message", {"content": MESSAGE})
    accepted = time.time() - sent_at
    session.stack.ingress.attach(answer["task_id"])
    while session.call("get_status")["status"] != "idle":  # its report is on its way
        time.sleep(0.002)
    plan = session.requests(answer["turn"])[0]
    assert plan.first_token_at is not None  # the task is completed
    return answer["task_id"], {
        ACCEPTED: 1000 * accepted,
        FIRST_TOKEN: 1000 * (plan.first_token_at - sent_at),
        PROMPT: plan.prompt_tokens,
    }


def ratios(parts: list[Part]) -> dict[str, float]:
    """What must not grow, by what it is: the end against the begin or the full window."""
    begin, full, end = (part.costs for part in parts)
    return {
        "acceptance, against the begin": end[ACCEPTED] / begin[ACCEPTED],
        "state written, against the begin": end[WRITTEN] / begin[WRITTEN],
        "state read, against the full window": end[READ] / full[READ],
        "first token, against the full window": end[FIRST_TOKEN] / full[FIRST_TOKEN],
    }


def failed(parts: list[Part]) -> bool:
    """Whether a ratio is too high."""
    return any(ratio > LIMIT for ratio in ratios(parts).values())


# Journals and state, in bytes


def _bytes_of_turns(stack: Stack, tasks: list[str]) -> list[dict[str, float]]:
    """The lengths of the journal entries of turns, given the ids of their tasks."""
    rows = stack.admin.query("SELECT id, invoked_by_id FROM sys_invocation")
    caller = {row["id"]: row.get("invoked_by_id") for row in rows}
    called = defaultdict(list)
    for id, by in caller.items():
        called[by].append(id)

    def with_callees(id: str) -> list[str]:
        return [id, *(each for callee in called[id] for each in with_callees(callee))]

    found: list[dict[str, float]] = []
    for task in tasks:
        message = caller[task]
        assert message is not None, "the message has sent the task"
        ids = ", ".join(f"'{id}'" for id in with_callees(message))
        rows = stack.admin.query(
            "SELECT target_service_name AS service, entry_type, sum(raw_length) AS bytes "
            "FROM sys_journal JOIN sys_invocation ON sys_journal.id = sys_invocation.id "
            f"WHERE sys_journal.id IN ({ids}) GROUP BY service, entry_type"
        )
        of_agent = [row for row in rows if row["service"] == "CodingAgent"]
        found.append(
            {
                WRITTEN: _sum(row for row in of_agent if row["entry_type"].endswith(_WRITES)),
                READ: _sum(row for row in of_agent if row["entry_type"].endswith(_READS)),
                AGENT: _sum(of_agent),
                TURN: _sum(rows),
            }
        )
    return found


def _sum(rows: Iterable[dict[str, Any]]) -> int:
    return sum(row["bytes"] for row in rows)


def _state_bytes(stack: Stack, session: str) -> int:
    """The length of all values that are kept under a session's key."""
    (row,) = stack.admin.query(
        f"SELECT sum(value_length) AS bytes FROM state WHERE service_key = '{session}'"
    )
    return int(row["bytes"])
