"""`long-session`: what a message costs at turn 1,000, against the first ones."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.benchmark.figures import conditions, markdown
from tests.benchmark.journals import Bytes, bytes_of_turns, state_bytes
from tests.stack import Session, Stack

LIMIT = 1.2
"""No ratio may be above that."""

# As fast as the scripted model can be: what is measured is the agent and the server.
_TOKENS_PER_SECOND = 10_000.0

# 1,200 tokens, at four characters each: twenty such turns fill the agent's context.
_MESSAGE = "Write a greeter, and mind what was said about names and greetings. " * 71


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
    stack.model.set(tokens_per_second=_TOKENS_PER_SECOND, first_token_seconds=0.0)
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
            session.call("message", {"content": _MESSAGE})
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
    answer = session.call("message", {"content": _MESSAGE})
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


def report(stack: Stack, costs: list[Cost]) -> str:
    """The costs in Markdown."""
    _, full, end = costs
    verdicts = [
        f"- {what}: {ratio:.2f}" + ("" if ratio <= LIMIT else f" (more than {LIMIT:g})")
        for what, ratio in ratios(costs).items()
    ]
    return "\n".join(
        [
            "# A long session",
            "",
            f"{conditions(stack)} Three sessions, the longest with {end.turns.stop - 1:,} turns, "
            f"with messages of {len(_MESSAGE):,} characters; the model streams "
            f"{_TOKENS_PER_SECOND:,.0f} tokens/s and waits for nothing. The turns of the table "
            "are measured side by side, a turn of each session after the other; each begins in an "
            "idle session and comes to its end.",
            "",
            markdown([_row(what, values, costs) for what, values in _TABLE.items()]),
            "",
            "Medians. Accepted: message sent → answered. First token: message sent → first token "
            "at the model (its own record). Written and read: the sum of `sys_journal.raw_length` "
            "of the entries `SetState` and `ClearState`, and of the results of the state reads, of "
            "all CodingAgent invocations that the message has caused, its own included. Journal: "
            "`raw_length` of all their entries, and of all entries of all invocations that it "
            "has caused. State of the session: the length of all values of CodingAgent, Workspace "
            "and UsageMeter under its key.",
            "",
            f"The end against the begin, or against turns {full.turns.start}–"
            f"{full.turns.stop - 1}, where the model is shown as much as it ever is; "
            f"{LIMIT:g} at most:",
            "",
            *verdicts,
            "",
        ]
    )


_TABLE: dict[str, Callable[[Cost], str]] = {
    "accepted, ms": lambda cost: f"{1000 * cost.accepted:.1f}",
    "first token, ms": lambda cost: f"{1000 * cost.first_token:.1f}",
    "state written, bytes": lambda cost: f"{cost.bytes.written:,.0f}",
    "state read, bytes": lambda cost: f"{cost.bytes.read:,.0f}",
    "journal of CodingAgent, bytes": lambda cost: f"{cost.bytes.agent:,.0f}",
    "journal of the whole turn, bytes": lambda cost: f"{cost.bytes.turn:,.0f}",
    "tokens of the prompt": lambda cost: f"{cost.prompt_tokens:,.0f}",
    "state of the session afterwards, bytes": lambda cost: f"{cost.state:,}",
}


def _row(what: str, value: Callable[[Cost], str], costs: list[Cost]) -> dict[str, str]:
    by_part = {f"turns {c.turns.start:,}–{c.turns.stop - 1:,}": value(c) for c in costs}
    return {"": what, **by_part}
