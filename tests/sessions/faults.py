"""What goes wrong around the sessions, one fault at a time, each mended again."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from tests.sessions.log import Fault, now
from tests.stack import Stack
from workbench import start_restate

_MODEL_FAULTS = ("outage", "server_error", "rate_limit", "cut", "empty", "refuse")


@dataclass(frozen=True)
class Planned:
    """A fault of a kind, `pause` seconds after the one before, that stays for `hold` seconds."""

    kind: str
    pause: float
    hold: float


def plan(dice: Random, names: tuple[str, ...]) -> Iterator[Planned]:
    """One fault after the other, without end: `agent` and `server` are SIGKILLed and come back,
    `model` fails in one of six ways, `hang` leaves the model's callers waiting.
    """
    while names:
        kind = dice.choice(names)
        kind = dice.choice(_MODEL_FAULTS) if kind == "model" else kind
        yield Planned(kind, pause=dice.uniform(0.5, 5.0), hold=dice.uniform(0.0, 2.0))


class Faults:
    """Makes the faults of a plan.

    Attributes:
        made: how many were made so far, by kind.
        past: those that are mended again.
        done: set when it has halted.
    """

    def __init__(
        self, stack: Stack, seed: int, names: tuple[str, ...], halt: threading.Event
    ) -> None:
        self._stack = stack
        self._plan = plan(Random(f"{seed}/faults"), names)
        self._halt = halt
        self.made: Counter[str] = Counter()
        self.past: list[Fault] = []
        self.done = threading.Event()

    def run(self) -> None:
        """Make faults until told to halt; nothing is left broken."""
        try:
            for fault in self._plan:
                if self._halt.wait(fault.pause):
                    return
                self.made[fault.kind] += 1
                began = now()
                self._make(fault)
                self.past.append(Fault(fault.kind, began, now()))
        finally:
            self.done.set()

    def _make(self, fault: Planned) -> None:
        if fault.kind == "agent":
            self._stack.agent.kill()
            self._halt.wait(fault.hold)
            self._stack.agent.start()
        elif fault.kind == "server":
            self._stack.restate.kill()
            self._halt.wait(fault.hold / 4)
            # The handle is one of a process: only the new one can kill what runs now.
            self._stack.restate = start_restate("embedded", progress=lambda line: None)
        else:
            self._stack.model.fail(
                fault.kind,
                retry_after=0.5 if fault.kind == "rate_limit" else None,
                after_tokens=5 if fault.kind == "cut" else None,
            )
            self._halt.wait(fault.hold)
            self._stack.model.mend()
