"""Runs users and faults side by side for a while, then judges every session."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from tests.sessions.operations import (
    Invocation,
    broken,
    resume,
    under_way,
    without_the_paused,
)
from tests.sessions.our_agent import violations_of_our_agent
from tests.sessions.users import Threads, User
from tests.stack import Stack
from workbench import ModelRequest, WorkbenchError
from workbench.oracle.log import Fault, Log, Paused, now

# How fast the model answers, in tokens per second: a task takes some five seconds, if nobody
# interrupts it. Three times as fast, the agent has not read all that was sent when it hangs up.
_TOKENS_PER_SECOND = 200.0

# What the agent is told: to give up on a model that hangs soon enough for a short run.
AGENT_ENV = {
    "AGENT_FIRST_TOKEN_TIMEOUT": "5",
    "AGENT_STALL_TIMEOUT": "5",
    "AGENT_CANCEL_TIMEOUT": "10",
    "AGENT_APPROVAL_TIMEOUT": "8",
}

# How long something stays paused before an operator resumes it.
_PAUSED_SECONDS = 3.0

# How long all that the users have begun may take after they have left.
_SETTLED_SECONDS = 180.0

_MODEL_FAULTS = ("outage", "server_error", "rate_limit", "cut", "empty", "refuse")


@dataclass(frozen=True)
class PlannedFault:
    """A fault of a kind, `pause` seconds after the one before, that stays for `hold` seconds."""

    kind: str
    pause: float
    hold: float


def planned_faults(dice: Random, names: tuple[str, ...]) -> Iterator[PlannedFault]:
    """One fault after the other, without end: `agent` and `server` are SIGKILLed and come back,
    `model` fails in one of six ways, `hang` leaves the model's callers waiting.
    """
    while names:
        kind = dice.choice(names)
        kind = dice.choice(_MODEL_FAULTS) if kind == "model" else kind
        longest = 0.5 if kind == "server" else 2.0  # it takes its time to come back
        yield PlannedFault(kind, pause=dice.uniform(0.5, 5.0), hold=dice.uniform(0.0, longest))


class _Model(Protocol):
    def requests(self, label_prefix: str = "", *, after: int = 0) -> list[ModelRequest]: ...


class ModelRecord:
    """All requests that the model has seen, collected as the run goes: it forgets, after 10,000.
    They are numbered from 1 on, so nothing is lost unnoticed.
    """

    def __init__(self, model: _Model) -> None:
        self._model = model
        self._requests: dict[int, ModelRequest] = {}

    @property
    def lost(self) -> list[int]:
        """The numbers of requests that were not read to their end, while later ones were seen."""
        numbers = range(1, max(self._requests, default=0) + 1)
        return [number for number in numbers if not self._has_ended(number)]

    def collect(self) -> None:
        """Read what is new, and again what had not ended."""
        open_ones = [number for number in self._requests if not self._has_ended(number)]
        after = min(open_ones, default=max(self._requests, default=0) + 1) - 1
        self._requests |= {each.number: each for each in self._model.requests(after=after)}

    def by_session(self) -> dict[str, list[ModelRequest]]:
        """The requests by session, oldest first; a label is session/turn/step."""
        sessions = defaultdict(list)
        for _, request in sorted(self._requests.items()):
            sessions[request.label.partition("/")[0]].append(request)
        return sessions

    def _has_ended(self, number: int) -> bool:
        return number in self._requests and self._requests[number].ended_at is not None


class Watch:
    """Collects the model's record while users act, notes what is paused for some seconds, and
    resumes it, unless nobody is to help (`alone`).

    Attributes:
        paused: what was seen to be paused.
        resumed: how often something was resumed.
    """

    def __init__(self, stack: Stack, over: threading.Event, *, alone: bool = False) -> None:
        self._stack = stack
        self._over = over
        self.alone = alone
        self._since: dict[str, Paused] = {}
        self.record = ModelRecord(stack.model)
        self.paused: list[Paused] = []
        self.resumed = 0

    def run(self) -> None:
        """Go on until it is over."""
        while not self._over.wait(0.5):
            with contextlib.suppress(WorkbenchError):  # busy, or away: it is asked again
                self.record.collect()
            with contextlib.suppress(WorkbenchError):
                self._look_for_paused()

    def _look_for_paused(self) -> None:
        found = [each for each in under_way(self._stack) if each.status == "paused"]
        seen = [self._since.get(each.id) or Paused(each.id, each.target, now()) for each in found]
        self._since = {each.id: each for each in seen}
        for paused in seen:
            if now() - paused.at > _PAUSED_SECONDS:
                if paused not in self.paused:
                    self.paused.append(paused)
                if not self.alone:
                    resume(self._stack, paused.id)
                    self.resumed += 1


@dataclass
class Outcome:
    """What a run has done and found.

    Attributes:
        counts: how often what was done or seen, by the lines of the report.
        violations: by session; those of none are "all" sessions'.
        seen: what there is to know of the sessions with violations.
    """

    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    violations: dict[str, list[str]] = field(default_factory=dict)
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)

    def judge(self, user: User, requests: list[ModelRequest]) -> None:
        """Judge a session, and take it into account."""
        restate, key = user.session.stack.restate, user.session.key
        wrong = violations_of_our_agent(
            restate.ingress_url, restate.admin_url, key, user.log, requests
        )
        turns = user.session.turns()
        if wrong:
            self.violations[key] = wrong
            self.seen[key] = {"log": user.log, "turns": turns, "requests": requests}
        self.counts["steps"].update(user.done)
        accepted, refused = self.counts["messages accepted"], self.counts["messages refused"]
        for message in user.log.messages:
            (accepted if message.accepted else refused)[message.when_busy or "plain"] += 1
        verdicts = ("yes" if verdict.yes else "no" for verdict in user.log.verdicts)
        self.counts["verdicts taken"].update(verdicts)
        self.counts["turns"].update(turn["status"] for turn in turns)
        self.counts["model requests"].update(request.status for request in requests)
        tokens = sum(request.completion_tokens for request in requests)
        self.counts["tokens"]["completion"] += tokens


def shown(counts: Counter[str]) -> str:
    """`3 killed, 1 failed`, the largest number first."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
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
    watch = Watch(stack, over, alone=alone)
    made: list[Fault] = []
    users = []
    for number in range(1, sessions + 1):
        cancel_timeout = float(AGENT_ENV["AGENT_CANCEL_TIMEOUT"])
        approval_timeout = float(AGENT_ENV["AGENT_APPROVAL_TIMEOUT"])
        log = Log(
            faults=made,
            paused=watch.paused,
            cancel_timeout=cancel_timeout,
            approval_timeout=approval_timeout,
        )
        users.append(User(stack, seed, number, halt, log, alone=alone))
    deadline = time.monotonic() + seconds

    def make_faults() -> None:
        for fault in planned_faults(Random(f"{seed}/faults"), faults):
            if halt.wait(fault.pause):
                return
            with broken(stack, fault.kind, made):
                halt.wait(fault.hold)

    def progress(doing: str) -> None:
        messages = sum(bool(message.answers) for user in users for message in user.log.messages)
        kinds = Counter(fault.kind for fault in made)
        show(f"{doing} · {messages} messages · resumed: {watch.resumed} · faults: {shown(kinds)}")

    def settle() -> list[Invocation]:
        """Wait until all is over, or all that is left is paused, or waits for that, where nobody
        helps. What backs off must come to an end by itself. Returns what does not.
        """
        until = time.monotonic() + _SETTLED_SECONDS
        while True:
            found = under_way(stack)
            left = without_the_paused(found) if watch.alone else found
            if not left or time.monotonic() > until:
                return left
            watchers.join()
            progress("waiting for tasks")
            time.sleep(0.25)

    actors, watchers = Threads(), Threads()
    breaker = actors.start(make_faults)
    try:
        watchers.start(watch.run)
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
        left_open = settle()
        watch.alone = False
        if not left_open:
            for user in users:
                user.look()  # only a look finds a task that was killed, and its draft
            left_open = settle()
    finally:
        halt.set()
        over.set()
        breaker.join(60)  # what starts a server is done before anything stops them all
    watchers.join(60)
    watch.record.collect()
    progress("checking")

    outcome = Outcome()
    everywhere = [f"{each.target} {each.id} is still {each.status}" for each in left_open]
    if lost := watch.record.lost:
        everywhere.append(f"{len(lost)} of the model's records were lost, from {lost[0]} on")
    if everywhere:
        outcome.violations["all"] = everywhere
    requests = watch.record.by_session()
    for user in users:
        outcome.judge(user, requests.get(user.session.key, []))
    outcome.counts["faults"].update(fault.kind for fault in made)
    outcome.counts["resumed"]["by the operator"] = watch.resumed
    return outcome
