"""Runs clients and faults side by side for a while, then checks every session."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.stack import Stack
from tests.stress.client import Client
from tests.stress.crew import Crew
from tests.stress.faults import Faults
from tests.stress.invariants import violations
from tests.stress.model_log import ModelLog
from tests.stress.operations import Watch, patiently, settle
from tests.stress.picture import Around, Picture, take_picture

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
class Progress:
    """Where a run is."""

    doing: str
    seconds_left: float = 0.0
    messages: int = 0
    tasks: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)


@dataclass
class Outcome:
    """What a run has done and found.

    Attributes:
        accepted, refused: messages, by what they asked for where the session was busy.
        resumed, escalated: how often somebody resumed what was paused, and how many of the killed
            turns were so because they did not end when they were cancelled.
        violations: by session; those of none are "all" sessions'.
        pictures: of the sessions with violations.
    """

    accepted: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    turns: dict[str, int] = field(default_factory=dict)
    actions: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    model_requests: int = 0
    tokens_sent: int = 0
    tokens_counted: int = 0
    resumed: int = 0
    escalated: int = 0
    violations: dict[str, list[str]] = field(default_factory=dict)
    pictures: dict[str, Picture] = field(default_factory=dict)

    def add(self, client: Client, picture: Picture) -> None:
        """Take one session into account."""
        if wrong := violations(picture):
            self.violations[client.session.key] = wrong
            self.pictures[client.session.key] = picture
        for sent in client.ledger.sent:
            mode, messages = sent.when_busy or "plain", self.refused
            if sent.accepted:
                messages = self.accepted
            messages[mode] = messages.get(mode, 0) + 1
        for turn in picture.turns:
            self.turns[turn["status"]] = self.turns.get(turn["status"], 0) + 1
            self.escalated += "did not end within" in (turn["error"] or "")
        for action, times in client.done.items():
            self.actions[action] = self.actions.get(action, 0) + times
        self.tokens_sent += sum(request.completion_tokens for request in picture.requests)
        self.tokens_counted += picture.usage["completion_tokens"]


def stress(
    stack: Stack,
    *,
    seed: int,
    seconds: float,
    sessions: int,
    faults: tuple[str, ...],
    alone: bool = False,
    show: Callable[[Progress], None] = lambda progress: None,
) -> Outcome:
    """Let `sessions` clients act for `seconds`, with these `faults`, and check what is left.

    What they do follows from `seed`; when, from the machine. `alone`: nobody resumes what has been
    paused, until the clients are done.
    """
    stack.model.set(tokens_per_second=_TOKENS_PER_SECOND)
    halt, over = threading.Event(), threading.Event()
    log = ModelLog(stack.model)
    clients = [Client(stack, seed, number, halt, alone=alone) for number in range(1, sessions + 1)]
    trouble = Faults(stack, seed, faults, halt)
    watch = Watch(stack, log, over, alone=alone)
    deadline = time.monotonic() + seconds

    def progress(doing: str) -> None:
        left = max(0.0, deadline - time.monotonic())
        messages = sum(client.ledger.accepted for client in clients)
        show(Progress(doing, left, messages, dict(watch.tasks), dict(trouble.made)))

    def waiting() -> None:
        progress("waiting for tasks")

    actors, watchers = Crew(), Crew()
    try:
        watchers.start(watch.run)
        actors.start(trouble.run)
        for client in clients:
            actors.start(client.run)
        while (left := deadline - time.monotonic()) > 0:
            actors.join(min(0.25, left))
            watchers.join()
            progress("running")
        halt.set()
        while not actors.join(0.25):
            watchers.join()
            progress("waiting for answers")
        left_open = settle(stack, watch.paused, alone=alone, show=waiting)
        if not left_open:
            # Only a look finds a task that was killed, and its draft.
            for client in clients:
                patiently(client.session.turns)
            left_open = settle(stack, [] if alone else watch.paused, show=waiting)
    finally:
        halt.set()
        over.set()
        trouble.done.wait(60)  # who starts a server is done before anybody stops them all
    watchers.join(60)
    log.collect()
    progress("checking")

    outcome = Outcome(faults=dict(trouble.made), model_requests=len(log), resumed=watch.resumed)
    everywhere = [f"{row['target']} {row['id']} is still {row['status']}" for row in left_open]
    if log.lost:
        everywhere.append(
            f"{len(log.lost)} of the model's records were lost, from {log.lost[0]} on"
        )
    if everywhere:
        outcome.violations["all"] = everywhere
    requests = log.by_session()
    around = Around(trouble.past, watch.paused, cancel_timeout=_CANCEL_TIMEOUT)
    for client in clients:
        key = client.session.key
        seen = requests.get(key, [])
        picture = take_picture(stack.ingress, stack.admin, key, client.ledger, seen, around)
        outcome.add(client, picture)
    return outcome
