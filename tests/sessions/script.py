"""What a user does, one step after the other, decided by a seed alone.

A step holds every random number that carrying it out will need, whether or not it can be carried
out then: so the same seed brings the same steps, however slow the machine is.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

PROGRAMS = ("Write a to-do CLI", "Write it with Flask", "Now with FastAPI", "Write a greeter")

# What a message asks for where a session is busy, with weights; None leaves it to the agent.
WHEN_BUSY: tuple[tuple[str | None, int], ...] = (
    (None, 4),
    ("interrupt", 1),
    ("rollback", 2),
    ("enqueue", 4),
    ("reject", 1),
    ("steer", 4),
)

READS = ("get_turns", "get_turns", "get_history", "get_status")
VERBS = ("cancel", "kill", "pause", "resume")
TARGETS = ("task", "task", "step", "step", "message")


@dataclass(frozen=True)
class Draft:
    """A message to be."""

    program: str
    when_busy: str | None


@dataclass(frozen=True)
class Say:
    """Messages, each sent `sends` times under one idempotency key; all of that `at_once` or not."""

    drafts: tuple[Draft, ...]
    sends: int = 1
    at_once: bool = False


@dataclass(frozen=True)
class SteerLate:
    """Steer the newest task as soon as the model has done such a step for it."""

    step: str
    drafts: tuple[Draft, ...]


@dataclass(frozen=True)
class Stop:
    """Interrupt what is at work."""


@dataclass(frozen=True)
class Read:
    handler: str


@dataclass(frozen=True)
class Operate:
    """What an operator does to an open invocation; `which` (0 to 1) chooses among those there."""

    verb: str
    target: str
    which: float


@dataclass(frozen=True)
class Wait:
    seconds: float


Step = Say | SteerLate | Stop | Read | Operate | Wait


def steps(dice: random.Random) -> Iterator[Step]:
    """One step after the other, without end."""
    weights = [weight for _, weight in STEPS]
    while True:
        (make,) = dice.choices([make for make, _ in STEPS], weights)
        yield make(dice)


def _draft(dice: random.Random) -> Draft:
    (when_busy,) = dice.choices(
        [mode for mode, _ in WHEN_BUSY], [weight for _, weight in WHEN_BUSY]
    )
    return Draft(dice.choice(PROGRAMS), when_busy)


def _repeat(dice: random.Random) -> Say:
    return Say((_draft(dice),), sends=dice.randint(2, 4), at_once=dice.random() < 0.5)


def _burst(dice: random.Random) -> Say:
    drafts = tuple(_draft(dice) for _ in range(dice.randint(2, 6)))
    return Say(drafts, sends=dice.choice([1, 1, 2]), at_once=dice.random() < 0.7)


def _steer_late(dice: random.Random) -> SteerLate:
    """In the middle, when something is drafted already; or in the last moment, and some more."""
    step, times = dice.choice([("write", 1), ("review", 4)])
    return SteerLate(step, tuple(Draft(dice.choice(PROGRAMS), "steer") for _ in range(times)))


def _operate(dice: random.Random) -> Operate:
    return Operate(dice.choice(VERBS), dice.choice(TARGETS), dice.random())


# Everything that users do, with weights; the second wait is long enough for a task to come to its
# end, or nearly.
STEPS: list[tuple[Callable[[random.Random], Step], int]] = [
    (lambda dice: Say((_draft(dice),)), 4),
    (_repeat, 2),
    (_burst, 1),
    (_steer_late, 3),
    (lambda _: Stop(), 1),
    (lambda dice: Read(dice.choice(READS)), 2),
    (_operate, 3),
    (lambda dice: Wait(dice.uniform(0.0, 1.0)), 4),
    (lambda dice: Wait(dice.uniform(2.0, 10.0)), 3),
]
