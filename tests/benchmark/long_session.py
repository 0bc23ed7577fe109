"""`long-session`: what a message costs at turn 1,000, against the first ones."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass

from tests.stack import Session, Stack

LIMIT = 1.2
"""No ratio may be above that."""

# As fast as the scripted model can be: what is measured is the agent and the server.
TOKENS_PER_SECOND = 10_000.0

# 1,200 tokens, at four characters each: twenty such turns fill the agent's context.
MESSAGE = "Write a greeter, and mind what was said about names and greetings. " * 71

_WRITES = ("SetState", "ClearState")
_READS = ("GetLazyState", "GetEagerState")


@dataclass(frozen=True)
class Bytes:
    """Lengths of journal entries; see the report for what is counted."""

    written: float
    read: float
    agent: float
    turn: float

    @staticmethod
    def median(of: list[Bytes]) -> Bytes:
        return Bytes(*map(statistics.median, zip(*map(astuple, of), strict=True)))


@dataclass(frozen=True)
class Cost:
    """The medians over some turns of a session, and its state after them."""

    turns: range
    accepted: float
    first_token: float
    bytes: Bytes
    prompt_tokens: float
    state: int


@dataclass(frozen=True)
class _Turn:
    task_id: str
    accepted: float
    first_token: float
    prompt_tokens: int


def measure(
    stack: Stack,
    *,
    turns: int,
    samples: int = 20,
    window: int = 30,
    progress: Callable[[str], None],
) -> list[Cost]:
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
    return [
        _cost(range(start + 1, start + samples + 1), session, list(turns_of_session))
        for start, session, turns_of_session in zip(
            starts, sessions, zip(*measured, strict=True), strict=True
        )
    ]


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


def _cost(turns: range, session: Session, measured: list[_Turn]) -> Cost:
    bytes_of_each = bytes_of_turns(session.stack, [turn.task_id for turn in measured])
    return Cost(
        turns=turns,
        accepted=statistics.median(turn.accepted for turn in measured),
        first_token=statistics.median(turn.first_token for turn in measured),
        bytes=Bytes.median(bytes_of_each),
        prompt_tokens=statistics.median(turn.prompt_tokens for turn in measured),
        state=state_bytes(session.stack, session.key),
    )


def _whole_turn(session: Session) -> _Turn:
    """A message to an idle session, and its task to the end."""
    sent_at = time.time()
    answer = session.call("message", {"content": MESSAGE})
    accepted = time.time() - sent_at
    session.stack.ingress.attach(answer["task_id"])
    while session.call("get_status")["status"] != "idle":  # its report is on its way
        time.sleep(0.002)
    plan = session.requests(answer["turn"])[0]
    assert plan.first_token_at is not None  # the task is completed
    return _Turn(answer["task_id"], accepted, plan.first_token_at - sent_at, plan.prompt_tokens)


def ratios(costs: list[Cost]) -> dict[str, float]:
    """What must not grow, by what it is: the end against the begin or the full window."""
    begin, full, end = costs
    return {
        "acceptance, against the begin": end.accepted / begin.accepted,
        "state written, against the begin": end.bytes.written / begin.bytes.written,
        "state read, against the full window": end.bytes.read / full.bytes.read,
        "first token, against the full window": end.first_token / full.first_token,
    }


def failed(costs: list[Cost]) -> bool:
    """Whether a ratio is too high."""
    return any(ratio > LIMIT for ratio in ratios(costs).values())


# Journals and state, in bytes


def bytes_of_turns(stack: Stack, tasks: Sequence[str]) -> list[Bytes]:
    """The bytes of turns, given the ids of their tasks."""
    rows = stack.admin.query("SELECT id, invoked_by_id, target_service_name FROM sys_invocation")
    caller = {row["id"]: row.get("invoked_by_id") for row in rows}
    service = {row["id"]: row["target_service_name"] for row in rows}
    called = defaultdict(list)
    for id, by in caller.items():
        called[by].append(id)

    def with_callees(id: str) -> list[str]:
        return [id, *(each for callee in called[id] for each in with_callees(callee))]

    found = []
    for task in tasks:
        message = caller[task]
        assert message is not None, "the message has sent the task"
        found.append(_bytes(stack, with_callees(message), service))
    return found


def _bytes(stack: Stack, ids: list[str], service: Mapping[str, str]) -> Bytes:
    quoted = ", ".join(f"'{id}'" for id in ids)
    rows = stack.admin.query(
        "SELECT id, entry_type, sum(raw_length) AS bytes FROM sys_journal "
        f"WHERE id IN ({quoted}) GROUP BY id, entry_type"
    )
    of_agent = [row for row in rows if service[row["id"]] == "CodingAgent"]
    return Bytes(
        written=sum(row["bytes"] for row in of_agent if row["entry_type"].endswith(_WRITES)),
        read=sum(row["bytes"] for row in of_agent if row["entry_type"].endswith(_READS)),
        agent=sum(row["bytes"] for row in of_agent),
        turn=sum(row["bytes"] for row in rows),
    )


def state_bytes(stack: Stack, session: str) -> int:
    """The length of all values that are kept under a session's key."""
    (row,) = stack.admin.query(
        f"SELECT sum(value_length) AS bytes FROM state WHERE service_key = '{session}'"
    )
    return int(row["bytes"])
