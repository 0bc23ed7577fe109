"""What goes wrong around the sessions, one fault at a time, each mended again."""

import random
import time
from collections.abc import Callable

from tests.stack import Stack
from workbench import start_restate

_MODEL_FAULTS = ("outage", "server_error", "rate_limit", "cut", "empty", "refuse")


class Faults:
    """Faults by name: `agent` and `server` are SIGKILLed and started again, `model` fails; a `hang`
    leaves the model's callers waiting, which they notice after a minute.
    """

    def __init__(self, stack: Stack, seed: int, names: tuple[str, ...]) -> None:
        self._stack = stack
        self._random = random.Random(seed)
        known: dict[str, Callable[[], None]] = {
            "agent": self._kill_agent,
            "server": self._kill_server,
            "model": self._break_model,
            "hang": lambda: self._fail("hang"),
        }
        self._faults = [known[name] for name in names]
        self.made: list[str] = []

    def run(self, deadline: float) -> None:
        """Make faults until `deadline` (of `time.monotonic`); nothing is left broken."""
        while self._faults and time.monotonic() < deadline:
            time.sleep(self._random.uniform(0.5, 3.0))
            self._random.choice(self._faults)()

    def _kill_agent(self) -> None:
        self.made.append("agent")
        self._stack.agent.kill()
        time.sleep(self._random.uniform(0.0, 2.0))
        self._stack.agent.start()

    def _kill_server(self) -> None:
        self.made.append("server")
        self._stack.restate.kill()
        start_restate("embedded", progress=lambda line: None)

    def _break_model(self) -> None:
        self._fail(self._random.choice(_MODEL_FAULTS))

    def _fail(self, kind: str) -> None:
        self.made.append(kind)
        self._stack.model.fail(
            kind,
            retry_after=0.5 if kind == "rate_limit" else None,
            after_tokens=5 if kind == "cut" else None,
        )
        time.sleep(self._random.uniform(0.2, 2.0))
        self._stack.model.mend()
