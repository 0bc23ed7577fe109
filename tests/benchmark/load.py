"""`load`: what an interruption costs with this agent, beside the plain and the naive pattern:
sessions interrupt their tasks side by side.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import httpx

from tests.stack import Stack
from workbench import ModelRequest, ScriptedModel, WorkbenchError, wait_until

FIRST_TOKEN_SECONDS = 0.02

_POLL = 0.02
_PATIENCE = 120.0  # longer than any queue of a run takes


NAIVE, PLAIN, OURS = "naive", "plain", "this agent"
AGENTS = {NAIVE: "NaiveAgent", PLAIN: "PlainAgent", OURS: "CodingAgent"}
"""A virtual object of each pattern. Its `message` answers with the `turn` that it begins; its tasks
are called `run_task` and label their model calls `session/turn/step`."""


@dataclass(frozen=True)
class Run:
    """What was seen.

    Attributes:
        first_request: of each interruption, the seconds from sending the message to the arrival of
            the new task's first request at the model.
        seconds: what all of them took, side by side.
        missed: how many old tasks were still answered when the new one got its first token.
        late_tokens: those that old tasks got after the new message was answered.
    """

    pattern: str
    sessions: int
    first_request: list[float]
    seconds: float
    missed: int
    late_tokens: int


def measure(
    stack: Stack,
    sessions: Sequence[int],
    runs: int,
    rounds: int | None,
    progress: Callable[[str], None],
) -> list[Run]:
    """At each level one run of the naive pattern, then `runs` pairs of plain and this agent."""
    stack.add_naive_agent()
    stack.model.set(first_token_seconds=FIRST_TOKEN_SECONDS)
    progress("warming up")
    for pattern in AGENTS:
        run(stack, pattern, sessions=2, rounds=4, tokens_per_second=20)
    results = []
    for count in sessions:
        each = rounds or max(2, min(60, 160 // count))
        pace = min(20, 500 / count)  # what the model can do, and no plan is complete too soon
        progress(f"{count:,} sessions, {each} interruptions each …")
        for pattern in (NAIVE, *(PLAIN, OURS) * runs):
            result = run(stack, pattern, sessions=count, rounds=each, tokens_per_second=pace)
            results.append(result)
            p50 = 1000 * statistics.median(result.first_request)
            progress(f"  {pattern}: first request after {p50:.0f} ms, {result.missed} missed")
    return results


def failed(results: list[Run]) -> bool:
    """Whether the agent missed an interruption."""
    return any(result.missed for result in results if result.pattern == OURS)


class _Message(NamedTuple):
    session: str
    turn: int
    sent_at: float
    answered_at: float


def run(stack: Stack, pattern: str, *, sessions: int, rounds: int, tokens_per_second: float) -> Run:
    """Let each session interrupt its task so many times; nothing is left at work.

    Raises:
        WorkbenchError: a message failed, or its task did not reach the model, or was over too soon.
    """
    stack.model.set(tokens_per_second=tokens_per_second)
    prefix = f"load-{uuid.uuid4().hex[:8]}-"
    keys = [f"{prefix}{number}" for number in range(sessions)]
    try:
        messages, seconds = asyncio.run(_interrupt(stack, pattern, prefix, keys, rounds))
    except (httpx.HTTPError, asyncio.TimeoutError) as error:  # not the built-in one, before 3.11
        raise WorkbenchError(f"{pattern} does not do its work: {error!r}") from error
    calls = defaultdict(list)
    for request in stack.model.requests(prefix):
        calls[_turn_of(request)].append(request)
    _end(stack)

    first_request, missed, late_tokens = [], 0, 0
    for each in messages:
        old, new = calls[f"{each.session}/{each.turn - 1}"], calls[f"{each.session}/{each.turn}"]
        if any(call.ended_at and call.ended_at < each.sent_at for call in old):
            raise WorkbenchError(f"{pattern}: a model call ended before its interruption.")
        first_request.append(new[0].started_at - each.sent_at)
        first_token_at = min(call.first_token_at for call in new if call.first_token_at)
        missed += any(call.ended_at is None or call.ended_at > first_token_at for call in old)
        for call in old:
            late = (call.last_token_at or 0.0) - each.answered_at
            late_tokens += math.ceil(max(0.0, late) * tokens_per_second)
    return Run(pattern, sessions, first_request, seconds, missed, late_tokens)


async def _interrupt(
    stack: Stack, pattern: str, prefix: str, keys: list[str], rounds: int
) -> tuple[list[_Message], float]:
    """The messages that have interrupted a task, and the seconds that they took."""
    streaming: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
    watch = asyncio.create_task(_watch(stack.model, prefix, streaming))
    # With all connections in one pool, httpx would be what is measured.
    # There is no TLS here, and each client would load certificates for it.
    client = partial(httpx.AsyncClient, timeout=_PATIENCE, trust_env=False, verify=False)
    url = f"{stack.restate.ingress_url}/{AGENTS[pattern]}"
    clients = {key: client(base_url=f"{url}/{key}/") for key in keys}

    async def message(key: str) -> _Message:
        """Send a message; return when the task that it starts streams."""
        sent_at = time.time()
        response = await clients[key].post("message", json={"content": "Write a to-do CLI"})
        answered_at = time.time()
        turn = response.raise_for_status().json()["turn"]
        await asyncio.wait_for(streaming[f"{key}/{turn}"].wait(), _PATIENCE)
        return _Message(key, turn, sent_at, answered_at)

    async def interrupt(key: str) -> list[_Message]:
        return [await message(key) for _ in range(rounds)]

    try:
        await asyncio.gather(*map(message, keys))
        began = time.monotonic()
        sent = await asyncio.gather(*map(interrupt, keys))
        return [message for each in sent for message in each], time.monotonic() - began
    finally:
        watch.cancel()
        await asyncio.gather(*(client.aclose() for client in clients.values()))


async def _watch(model: ScriptedModel, prefix: str, streaming: dict[str, asyncio.Event]) -> None:
    """Tell all sessions when the model has streamed the first token of a turn."""
    settled = 0
    while True:
        requests = await asyncio.to_thread(model.requests, prefix, after=settled)
        waiting = [r.number for r in requests if r.first_token_at is None and r.ended_at is None]
        for request in requests:
            if request.first_token_at is not None:
                streaming[_turn_of(request)].set()
            settled = min(waiting, default=request.number + 1) - 1
        await asyncio.sleep(_POLL)


def _turn_of(request: ModelRequest) -> str:
    """`session/turn`, out of the label `session/turn/step`."""
    return request.label.rpartition("/")[0]


def _end(stack: Stack) -> None:
    """Cancel the tasks at work, and wait until all is over."""
    at_work = "target_handler_name = 'run_task' AND status != 'completed'"
    for task in stack.admin.query(f"SELECT id FROM sys_invocation WHERE {at_work}"):
        stack.admin.patch(f"/invocations/{task['id']}/cancel", allow=(404, 409))
    wait_until(
        lambda: not stack.count("sys_invocation", "status != 'completed'"),
        what="all invocations to be over",
        timeout=_PATIENCE,
    )
