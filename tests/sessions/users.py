"""One impatient user of a session, who also meddles with it as an operator.

A step holds every random number that carrying it out will need, whether or not it can be carried
out then: so the same seed brings the same steps, however slow the machine is.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any

from tests.sessions.acts import PATIENCE, Person
from tests.sessions.operations import under_way
from tests.stack import Session, Stack
from workbench import Ingress
from workbench.oracle.log import Log

PROGRAMS = ("Write a to-do CLI", "Write it with Flask", "Now with FastAPI", "Write a greeter")

# What a message asks for where a session is busy, with weights; None leaves it to the agent.
WHEN_BUSY = {None: 4, "interrupt": 1, "rollback": 2, "enqueue": 4, "reject": 1, "steer": 4}

# How long to wait for a moment of a turn in which something is to be done.
_LATE_SECONDS = 6.0


@dataclass(frozen=True)
class Step:
    """An act of a `User`, which is one of its methods, with its arguments."""

    act: str
    arguments: dict[str, Any]


Draft = tuple[str, str | None, bool]
"""A message to be: its program, what it asks for where the session is busy, and whether its plan
has to be approved."""


def _draft(dice: Random) -> Draft:
    (when_busy,) = dice.choices(list(WHEN_BUSY), list(WHEN_BUSY.values()))
    return dice.choice(PROGRAMS), when_busy, dice.random() < 0.3


def _once(dice: Random) -> dict[str, Any]:
    return {"drafts": [_draft(dice)]}


def _repeatedly(dice: Random) -> dict[str, Any]:
    return {**_once(dice), "sends": dice.randint(2, 4), "at_once": dice.random() < 0.5}


def _in_a_burst(dice: Random) -> dict[str, Any]:
    drafts = [_draft(dice) for _ in range(dice.randint(2, 6))]
    return {"drafts": drafts, "sends": dice.choice([1, 1, 2]), "at_once": dice.random() < 0.7}


def _late(dice: Random) -> dict[str, Any]:
    """In the middle, when something is drafted already; or in the last moment, and some more."""
    step, times = dice.choice([("write", 1), ("review", 4)])
    return {"step": step, "programs": [dice.choice(PROGRAMS) for _ in range(times)]}


def _verdict(dice: Random) -> dict[str, Any]:
    """To the plan that waits, to whatever plan the turn may have, or to the turn before; alone, or
    at the same time as something else.
    """
    return {
        "yes": dice.random() < 0.75,
        "whose": dice.choice(("plan", "plan", "plan", "turn", "turn before")),
        "other": dice.choice((None, None, "verdict", "stop", _draft(dice))),
    }


def _operation(dice: Random) -> dict[str, Any]:
    return {
        "verb": dice.choice(("cancel", "kill", "pause", "resume")),
        "target": dice.choice(("task", "task", "step", "step", "message")),
        "which": dice.random(),
    }


def _handler(dice: Random) -> dict[str, Any]:
    return {"handler": dice.choice(("get_turns", "get_turns", "get_history", "get_status"))}


# Everything that users do, with weights. The second wait is long enough for a task to come to its
# end, or nearly.
STEPS: list[tuple[int, str, Callable[[Random], dict[str, Any]]]] = [
    (4, "say", _once),
    (2, "say", _repeatedly),
    (1, "say", _in_a_burst),
    (3, "steer_late", _late),
    (1, "stop", lambda _: {}),
    (5, "decide", _verdict),
    (2, "ask", _handler),
    (3, "meddle", _operation),
    (4, "wait", lambda dice: {"seconds": dice.uniform(0.0, 1.0)}),
    (3, "wait", lambda dice: {"seconds": dice.uniform(2.0, 10.0)}),
]


def steps(dice: Random) -> Iterator[Step]:
    """One step after the other, without end."""
    weights = [weight for weight, *_ in STEPS]
    while True:
        ((_, act, arguments),) = dice.choices(STEPS, weights)
        yield Step(act, arguments(dice))


class Threads:
    """Daemon threads, so that Ctrl-C need not wait for those that wait for an answer. The first
    that fails is the failure of all.
    """

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._failure: BaseException | None = None

    def start(self, work: Callable[[], None]) -> threading.Thread:
        """Do `work` in a thread of its own."""

        def run() -> None:
            try:
                work()
            except BaseException as error:
                self._failure = self._failure or error

        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def join(self, timeout: float = 0.0) -> bool:
        """Whether all are done after `timeout` seconds. Raises what the first to fail raised."""
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self._failure:
            raise self._failure
        return not any(thread.is_alive() for thread in self._threads)


class User(Person):
    """A user of one session, whose steps follow from `seed` and `number`.

    It stops when `halt` is set, after the answer that it waits for. Every other user leaves in the
    middle: stops the last turn as soon as it has written something. Where users are `alone`, nobody
    resumes what they pause, so they pause only what a cancellation wakes: tasks and their steps.

    Attributes:
        done: how often it has done what.
    """

    def __init__(
        self, stack: Stack, seed: int, number: int, halt: threading.Event, log: Log, *, alone: bool
    ) -> None:
        # Connections of its own: a burst of one user keeps no other one waiting.
        stack = replace(stack, ingress=Ingress(stack.restate, echo=lambda line: None))
        super().__init__(Session(stack, f"stress-{number}-{uuid.uuid4().hex[:6]}"), log)
        self.done: Counter[str] = Counter()
        self._steps = steps(Random(f"{seed}/client/{number}"))
        self._halt = halt
        self._alone = alone
        self._leaves_early = number % 2 == 0

    def run(self) -> None:
        """Act until told to halt."""
        while not self._halt.is_set():
            step = next(self._steps)
            self.done[step.act.replace("_", " ")] += 1
            getattr(self, step.act)(**step.arguments)
        if self._leaves_early:
            self.send(self.new(PROGRAMS[0], "interrupt"))
            self._wait_for("write", threading.Event())
            self.stop()

    def say(self, drafts: list[Draft], sends: int = 1, at_once: bool = False) -> None:
        """Send messages, each `sends` times under one idempotency key; all of that `at_once` or
        not.
        """
        messages = [self.new(*draft) for draft in drafts]
        threads = Threads()
        for message in [each for each in messages for _ in range(sends)]:
            threads.start(partial(self.send, message))
            if not at_once:
                threads.join(2 * PATIENCE)
        threads.join(2 * PATIENCE)

    def steer_late(self, step: str, programs: list[str]) -> None:
        """Steer the newest task as soon as the model has done such a step for it."""
        if not self._wait_for(step, self._halt):
            return
        for program in programs:
            message = self.new(program, "steer")
            self.send(message)
            if not message.answers:
                return

    def decide(self, yes: bool, whose: str, other: str | Draft | None) -> None:
        """Say yes or no to a plan that waits; where nothing is at work, one is asked for."""
        status = self.read("get_status")
        if status and status["status"] == "idle":
            self.send(self.new(PROGRAMS[0], "enqueue", approve=True))
        self._wait_until(self.waiting, self._halt)
        turn = self.waiting()
        if not turn:
            return
        number = max(1, turn["turn"] - (whose == "turn before"))
        plan = turn["approval"] if whose == "plan" else None
        threads = Threads()
        threads.start(partial(self.approve, number, yes, plan))
        if other == "verdict":
            threads.start(partial(self.approve, number, not yes, plan))
        elif other == "stop":
            self.stop()
        elif other:
            self.send(self.new(*other))
        threads.join(2 * PATIENCE)

    def ask(self, handler: str) -> None:
        """Read something."""
        if handler == "get_turns":
            self.look()
        else:
            self.read(handler)

    def meddle(self, verb: str, target: str, which: float) -> None:
        """Do this to an open invocation, if there is one; `which` (0 to 1) chooses among them."""
        key, stack = self.session.key, self.session.stack
        found = [each for each in under_way(stack) if (each.session, each.part) == (key, target)]
        if found:
            chosen = found[int(which * len(found))]
            if verb != "pause" or not self._alone or chosen.of_task:
                self.operate(verb, chosen.id, chosen.target, chosen.task)

    def wait(self, seconds: float) -> None:
        """Do nothing for a while."""
        self._halt.wait(seconds)

    def _wait_for(self, step: str, halt: threading.Event) -> bool:
        """Wait until the model has done such a step for the newest turn; it may never come."""
        turn = self.turns[-1]["turn"] if self.turns else 0

        def done() -> bool:
            return any(
                request.step == step and request.status == "completed"
                for request in self.session.requests(turn)
            )

        return self._wait_until(done, halt)

    def _wait_until(self, moment: Callable[[], object], halt: threading.Event) -> bool:
        """Wait for a moment of a turn; it may never come."""
        until = time.monotonic() + _LATE_SECONDS
        while not moment():
            if time.monotonic() > until or halt.wait(0.02):
                return False
        return True
