"""One impatient user: sends messages at random moments, and repeats what got no answer."""

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.stack import Session, Stack
from workbench.errors import WorkbenchError
from workbench.ingress import IngressError

PROGRAMS = ("Write a to-do CLI", "Write it with Flask", "Now with FastAPI", "Write a greeter")


@dataclass
class Client:
    """A user of one session, whose choices follow from `seed`.

    Attributes:
        accepted: the messages that were answered, as (content, answer), in the order of sending.
    """

    stack: Stack
    seed: int
    accepted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.session = Session(self.stack, f"stress-{self.seed}-{uuid.uuid4().hex[:6]}")

    def run(self, deadline: float) -> None:
        """Act until `deadline` (of `time.monotonic`)."""
        while time.monotonic() < deadline:
            (act,) = self.random.choices(
                [self._message, self._message_twice, self._stop, self._operate, self._wait],
                weights=[4, 1, 1, 2, 4],
            )
            act()

    def _message(self, *, times: int = 1) -> None:
        content = f"{self.random.choice(PROGRAMS)} ({len(self.accepted) + 1})"
        key = f"{self.session.key}-{len(self.accepted) + 1}"
        answers = [
            self._persistently(
                lambda: self.session.call(
                    "message", {"content": content}, idempotency_key=key, timeout=120
                )
            )
            for _ in range(times)
        ]
        assert all(answer == answers[0] for answer in answers), answers
        self.accepted.append((content, answers[0]))

    def _message_twice(self) -> None:
        self._message(times=2)

    def _stop(self) -> None:
        self._persistently(self.session.stop)

    def _wait(self) -> None:
        time.sleep(self.random.uniform(0.0, 1.0))  # a pause between requests, not for a state

    def _operate(self) -> None:
        """Cancel, kill, pause or resume the newest task, or one of its steps."""
        action = self.random.choice(["cancel", "kill", "pause", "resume"])
        if not self.accepted:
            return
        task = self.accepted[-1][1]["task_id"]
        try:
            steps = self.stack.children(task, "CodingTask/write_file")
            target = self.random.choice([task, *steps])
            getattr(self.stack.admin, action)(target)
        except WorkbenchError:
            pass  # it was over already, or the server is away

    def _persistently(self, request: Callable[[], Any]) -> Any:
        """The answer to a request, repeated for as long as the server is away."""
        until = time.monotonic() + 120
        while True:
            try:
                return request()
            except IngressError as error:
                if error.status_code < 500 or time.monotonic() > until:
                    raise
            except WorkbenchError:
                if time.monotonic() > until:
                    raise
            time.sleep(0.1)
