"""Runs users and faults side by side for a while, then judges every session."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from tests.sessions.operations import Invocation, broken, resume, under_way
from tests.sessions.our_agent import violations_of_our_agent
from tests.sessions.users import Threads, User
from tests.stack import Stack
from workbench import Cluster, ModelRequest, WorkbenchError
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


class Watch:
    """Collects the model's record while users act, for it forgets after 10,000 requests; and
    resumes what is paused for some seconds, as an operator would.

    Attributes:
        paused: what was seen to be paused.
        resumed: how often something was resumed.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._requests: dict[int, ModelRequest] = {}
        self._since: dict[str, Paused] = {}
        self.paused: list[Paused] = []
        self.resumed = 0

    def run(self, over: threading.Event) -> None:
        """Go on until it is over."""
        while not over.wait(0.5):
            with contextlib.suppress(WorkbenchError):  # busy, or away: it is asked again
                self.collect()
            with contextlib.suppress(WorkbenchError):
                self._resume_the_paused()

    def collect(self) -> None:
        """Read what is new in the model's record, and again what had not ended."""
        after = min(self.lost, default=max(self._requests, default=0) + 1) - 1
        self._requests |= {each.number: each for each in self._stack.model.requests(after=after)}

    @property
    def lost(self) -> list[int]:
        """The numbers of the requests, from 1 on, whose end was not seen."""
        ended = {number for number, each in self._requests.items() if each.ended_at is not None}
        return sorted({*range(1, max(self._requests, default=0) + 1)} - ended)

    def by_session(self) -> dict[str, list[ModelRequest]]:
        """The requests by session, oldest first; a label is session/turn/step."""
        sessions = defaultdict(list)
        for _, request in sorted(self._requests.items()):
            sessions[request.label.partition("/")[0]].append(request)
        return sessions

    def _resume_the_paused(self) -> None:
        found = [each for each in under_way(self._stack) if each.status == "paused"]
        seen = [self._since.get(each.id) or Paused(each.id, each.target, now()) for each in found]
        self._since = {each.id: each for each in seen}
        for paused in seen:
            if now() - paused.at > _PAUSED_SECONDS:
                if paused not in self.paused:
                    self.paused.append(paused)
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
        for message in user.log.messages:
            became = "messages accepted" if message.accepted else "messages refused"
            self.counts[became][message.when_busy or "plain"] += 1
        for verdict in user.log.verdicts:
            self.counts["verdicts taken"]["yes" if verdict.yes else "no"] += 1
        self.counts["turns"].update(turn["status"] for turn in turns)
        self.counts["model requests"].update(request.status for request in requests)


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
    show: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Let `sessions` users act for `seconds`, with these `faults`, and judge what is left.

    What they do follows from `seed`; when, from the machine.
    """
    stack.model.set(tokens_per_second=_TOKENS_PER_SECOND)
    halt, over = threading.Event(), threading.Event()
    watch, made = Watch(stack), list[Fault]()
    names = ("cancel_timeout", "approval_timeout")
    limits = {name: float(AGENT_ENV[f"AGENT_{name.upper()}"]) for name in names}
    logs = [Log(faults=made, paused=watch.paused, **limits) for _ in range(sessions)]
    users = [User(stack, seed, number, halt, log) for number, log in enumerate(logs, start=1)]

    def make_faults() -> None:
        """One after the other: `agent` and `server` are SIGKILLed and come back, `model` fails in
        one of six ways, `hang` leaves the model's callers waiting. Of a cluster, `server` is one
        node after the other; the others have some time to take over.
        """
        longest = {"server": 6.0 if isinstance(stack.restate, Cluster) else 0.5}
        for number in count():
            dice = Random(f"{seed}/faults/{number}")
            kind = dice.choice(faults)
            kind = dice.choice(_MODEL_FAULTS) if kind == "model" else kind
            if halt.wait(dice.uniform(0.5, 5.0)):
                return
            with broken(stack, kind, made):  # the server takes its time to come back
                halt.wait(dice.uniform(0.0, longest.get(kind, 2.0)))

    def progress(doing: str) -> None:
        watchers.join()
        messages = sum(bool(message.answers) for user in users for message in user.log.messages)
        kinds = Counter(fault.kind for fault in made)
        show(f"{doing} · {messages} messages · resumed: {watch.resumed} · faults: {shown(kinds)}")

    def settle() -> list[Invocation]:
        """Wait until all is over; returns what does not come to an end."""
        until = time.monotonic() + _SETTLED_SECONDS
        while (left := under_way(stack)) and time.monotonic() < until:
            progress("waiting for tasks")
            time.sleep(0.25)
        return left

    actors, watchers, breakers = Threads(), Threads(), Threads()
    try:
        watchers.start(lambda: watch.run(over))
        if faults:
            breakers.start(make_faults)
        for user in users:
            actors.start(user.run)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            actors.join(min(0.25, left))
            progress(f"{left:.0f} s left")
        halt.set()
        while not (actors.join(0.25) and breakers.join()):
            progress("waiting for answers")
        left_open = settle()
        if not left_open:
            for user in users:
                user.look()  # only a look finds a task that was killed, and its draft
            left_open = settle()
    finally:
        halt.set()
        over.set()
        breakers.join(60)  # what starts a server is done before anything stops them all
    watchers.join(60)
    watch.collect()

    outcome = Outcome()
    everywhere = [f"{each.target} {each.id} is still {each.status}" for each in left_open]
    if watch.lost:
        everywhere.append(f"{len(watch.lost)} of the model's records were lost")
    if everywhere:
        outcome.violations["all"] = everywhere
    requests = watch.by_session()
    for user in users:
        outcome.judge(user, requests.get(user.session.key, []))
    outcome.counts["faults"].update(fault.kind for fault in made)
    outcome.counts["resumed"]["by the operator"] = watch.resumed
    return outcome
