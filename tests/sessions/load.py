"""Runs users and faults side by side for a while, then judges every session."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.sessions.faults import Faults
from tests.sessions.log import Log
from tests.sessions.operations import Watch, patiently, settle
from tests.sessions.oracle import violations
from tests.sessions.our_agent import violations_of_our_agent
from tests.sessions.users import User
from tests.stack import Stack
from workbench import ModelRequest

# How fast the model answers, in tokens per second: a task takes some five seconds, if nobody
# interrupts it. Three times as fast, the agent has not read all that was sent when it hangs up.
_TOKENS_PER_SECOND = 200.0

# What the agent is told: to give up on a model that hangs soon enough for a short run.
AGENT_ENV = {
    "AGENT_FIRST_TOKEN_TIMEOUT": "5",
    "AGENT_STALL_TIMEOUT": "5",
    "AGENT_CANCEL_TIMEOUT": "10",
}
_CANCEL_TIMEOUT = float(AGENT_ENV["AGENT_CANCEL_TIMEOUT"])


@dataclass
class Outcome:
    """What a run has done and found.

    Attributes:
        accepted, refused: messages, by what they asked for where the session was busy.
        resumed: how often somebody resumed what was paused.
        violations: by session; those of none are "all" sessions'.
        seen: what there is to know of the sessions with violations.
    """

    accepted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    turns: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    tokens: int = 0
    resumed: int = 0
    violations: dict[str, list[str]] = field(default_factory=dict)
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, user: User, requests: list[ModelRequest]) -> None:
        """Judge a session, and take it into account."""
        stack, key = user.session.stack, user.session.key
        where = (stack.restate.ingress_url, stack.restate.admin_url, key)
        wrong = violations(*where, user.log, requests)
        turns = patiently(user.session.turns)
        if wrong := wrong + violations_of_our_agent(*where, user.log, requests):
            self.violations[key] = wrong
            self.seen[key] = {"log": user.log, "turns": turns, "requests": requests}
        for message in user.log.messages:
            counted = self.accepted if message.accepted else self.refused
            counted[message.when_busy or "plain"] += 1
        self.turns.update(turn["status"] for turn in turns)
        self.steps.update(user.done)
        self.requests += len(requests)
        self.tokens += sum(request.completion_tokens for request in requests)


class Threads:
    """Daemon threads, so that Ctrl-C need not wait for those that wait for an answer. The first
    that fails is the failure of all.
    """

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._failure: BaseException | None = None

    def start(self, work: Callable[[], None]) -> None:
        """Do `work` in a thread of its own."""

        def run() -> None:
            try:
                work()
            except BaseException as error:
                self._failure = self._failure or error

        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()

    def join(self, timeout: float = 0.0) -> bool:
        """Whether all are done after `timeout` seconds. Raises what the first to fail raised."""
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self._failure:
            raise self._failure
        return not any(thread.is_alive() for thread in self._threads)


def counts(numbers: Counter[str]) -> str:
    """`3 killed, 1 failed`, the largest number first."""
    ranked = sorted(numbers.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{number} {name}" for name, number in ranked) or "none"


def run_load(
    stack: Stack,
    *,
    seed: int,
    seconds: float,
    sessions: int,
    faults: tuple[str, ...],
    alone: bool = False,
    show: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Let `sessions` users act for `seconds`, with these `faults`, and judge what is left.

    What they do follows from `seed`; when, from the machine. `alone`: nobody resumes what has been
    paused, until the users are done.
    """
    stack.model.set(tokens_per_second=_TOKENS_PER_SECOND)
    halt, over = threading.Event(), threading.Event()
    trouble = Faults(stack, seed, faults, halt)
    watch = Watch(stack, over, alone=alone)
    users = []
    for number in range(1, sessions + 1):
        log = Log(faults=trouble.past, paused=watch.paused, cancel_timeout=_CANCEL_TIMEOUT)
        users.append(User(stack, seed, number, halt, log, alone=alone))
    deadline = time.monotonic() + seconds

    def progress(doing: str) -> None:
        messages = sum(bool(message.answers) for user in users for message in user.log.messages)
        show(
            f"{doing} · {messages} messages · turns: {counts(watch.tasks)} · "
            f"faults: {counts(trouble.made)}"
        )

    def waiting() -> None:
        progress("waiting for tasks")

    actors, watchers = Threads(), Threads()
    try:
        watchers.start(watch.run)
        actors.start(trouble.run)
        for user in users:
            actors.start(user.run)
        while (left := deadline - time.monotonic()) > 0:
            actors.join(min(0.25, left))
            watchers.join()
            progress(f"{max(0.0, deadline - time.monotonic()):.0f} s left")
        halt.set()
        while not actors.join(0.25):
            watchers.join()
            progress("waiting for answers")
        left_open = settle(stack, watch.paused, alone=alone, show=waiting)
        if not left_open:
            # Only a look finds a task that was killed, and its draft.
            for user in users:
                patiently(user.session.turns)
            left_open = settle(stack, [] if alone else watch.paused, show=waiting)
    finally:
        halt.set()
        over.set()
        trouble.done.wait(60)  # who starts a server is done before anybody stops them all
    watchers.join(60)
    watch.record.collect()
    progress("checking")

    outcome = Outcome(faults=trouble.made, resumed=watch.resumed)
    everywhere = [f"{row['target']} {row['id']} is still {row['status']}" for row in left_open]
    if lost := watch.record.lost:
        everywhere.append(f"{len(lost)} of the model's records were lost, from {lost[0]} on")
    if everywhere:
        outcome.violations["all"] = everywhere
    requests = watch.record.by_session()
    for user in users:
        outcome.add(user, requests.get(user.session.key, []))
    return outcome
