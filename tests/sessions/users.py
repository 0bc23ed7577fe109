"""One impatient user of a session, who also meddles with it as an operator.

Each step has dice of its own: so the same seed brings the same steps, however slow the machine is.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from random import Random

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
    middle: stops the last turn as soon as it has written something.

    Attributes:
        done: how often it has done what.
    """

    def __init__(
        self, stack: Stack, seed: int, number: int, halt: threading.Event, log: Log
    ) -> None:
        # Connections of its own: a burst of one user keeps no other one waiting.
        stack = replace(stack, ingress=Ingress(stack.restate, echo=lambda line: None))
        super().__init__(Session(stack, f"stress-{number}-{uuid.uuid4().hex[:6]}"), log)
        self.done: Counter[str] = Counter()
        self._steps = steps(f"{seed}/client/{number}")
        self._halt = halt
        self._leaves_early = number % 2 == 0

    def run(self) -> None:
        """Act until told to halt."""
        while not self._halt.is_set():
            act, dice = next(self._steps)
            self.done[act.replace("_", " ")] += 1
            getattr(self, act)(dice)
        if self._leaves_early:
            self.send(self.new(PROGRAMS[0], "interrupt"))
            self._wait_for("write", threading.Event())
            self.stop()

    def say(self, dice: Random) -> None:
        """Send a message."""
        self._send(dice, 1)

    def say_repeatedly(self, dice: Random) -> None:
        """Send a message again and again under its idempotency key, at once or not."""
        self._send(dice, 1, sends=dice.randint(2, 4), at_once=dice.random() < 0.5)

    def say_in_a_burst(self, dice: Random) -> None:
        """Send several messages, at once or not."""
        self._send(
            dice, dice.randint(2, 6), sends=dice.choice([1, 1, 2]), at_once=dice.random() < 0.7
        )

    def steer_late(self, dice: Random) -> None:
        """Steer the newest task in the middle, when something is drafted already; or in the last
        moment, and some more.
        """
        step, times = dice.choice([("write", 1), ("review", 4)])
        if not self._wait_for(step, self._halt):
            return
        for _ in range(times):
            message = self.new(dice.choice(PROGRAMS), "steer")
            self.send(message)
            if not message.answers:
                return

    def stop_it(self, _: Random) -> None:
        """Interrupt what is at work."""
        self.stop()

    def decide(self, dice: Random) -> None:
        """Say yes or no to a plan that waits; where nothing is at work, one is asked for. Or to any
        plan of its turn, or of the turn before; alone, or at the same time as something else.
        """
        yes, whose = dice.random() < 0.75, dice.choice(("plan", "plan", "turn", "turn before"))
        other = dice.choice((None, None, "verdict", "stop", "message"))
        status = self.read("get_status")
        if status and status["status"] == "idle":
            self.send(self.new(PROGRAMS[0], "enqueue", approve=True))
        self._wait_until(self.waiting, self._halt)
        if not (turn := self.waiting()):
            return
        number = max(1, turn["turn"] - (whose == "turn before"))
        plan = turn["approval"] if whose == "plan" else None
        threads = Threads()
        threads.start(partial(self.approve, number, yes, plan))
        if other == "verdict":
            threads.start(partial(self.approve, number, not yes, plan))
        elif other == "stop":
            self.stop()
        elif other == "message":
            self._send(dice, 1)
        threads.join(2 * PATIENCE)

    def ask(self, dice: Random) -> None:
        """Read something."""
        handler = dice.choice(("get_turns", "get_turns", "get_history", "get_status"))
        if handler == "get_turns":
            self.look()
        else:
            self.read(handler)

    def meddle(self, dice: Random) -> None:
        """Do something to an open invocation, if there is one."""
        verb = dice.choice(("cancel", "kill", "pause", "resume"))
        part = dice.choice(("task", "task", "step", "step", "message"))
        mine = (self.session.key, part)
        found = [
            each for each in under_way(self.session.stack) if (each.session, each.part) == mine
        ]
        if found:
            chosen = dice.choice(found)
            self.operate(verb, chosen.id, chosen.target, chosen.task)

    def wait(self, dice: Random) -> None:
        """Do nothing for a moment."""
        self._halt.wait(dice.uniform(0.0, 1.0))

    def wait_long(self, dice: Random) -> None:
        """Do nothing for as long as a task takes to come to its end, or nearly."""
        self._halt.wait(dice.uniform(2.0, 10.0))

    def _send(self, dice: Random, number: int, *, sends: int = 1, at_once: bool = False) -> None:
        """Send so many messages, each `sends` times under one idempotency key."""
        messages = []
        for _ in range(number):
            (when_busy,) = dice.choices(list(WHEN_BUSY), list(WHEN_BUSY.values()))
            messages.append(self.new(dice.choice(PROGRAMS), when_busy, dice.random() < 0.3))
        threads = Threads()
        for message in [each for each in messages for _ in range(sends)]:
            threads.start(partial(self.send, message))
            if not at_once:
                threads.join(2 * PATIENCE)
        threads.join(2 * PATIENCE)

    def _wait_for(self, step: str, halt: threading.Event) -> bool:
        """Wait until the model has done such a step for the newest turn; it may never come."""
        turn = self.turns[-1]["turn"] if self.turns else 0

        def done() -> bool:
            requests = self.session.requests(turn)
            return any(each.step == step and each.status == "completed" for each in requests)

        return self._wait_until(done, halt)

    def _wait_until(self, moment: Callable[[], object], halt: threading.Event) -> bool:
        """Wait for a moment of a turn; it may never come."""
        until = time.monotonic() + _LATE_SECONDS
        while not moment():
            if time.monotonic() > until or halt.wait(0.02):
                return False
        return True


# Everything that users do, with weights.
_STEPS = {
    **{"say": 4, "say_repeatedly": 2, "say_in_a_burst": 1, "steer_late": 3, "stop_it": 1},
    **{"decide": 5, "ask": 2, "meddle": 3, "wait": 4, "wait_long": 3},
}


def steps(seed: str) -> Iterator[tuple[str, Random]]:
    """One act of a `User` after the other, without end, each with its dice."""
    for number in count():
        dice = Random(f"{seed}/{number}")
        (act,) = dice.choices(list(_STEPS), list(_STEPS.values()))
        yield act, dice
