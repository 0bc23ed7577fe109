"""One impatient user: carries out its script, and repeats what got no answer."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from tests.stack import Session, Stack
from tests.stress.clock import now
from tests.stress.ledger import Ledger, Sent, Stopped
from tests.stress.operate import Operator
from tests.stress.script import PROGRAMS, Draft, Operate, Read, Say, SteerLate, Stop, Wait, actions
from workbench import Ingress
from workbench.ingress import IngressError
from workbench.state_dir import WorkbenchError

# How long a user waits for an answer, all repetitions taken together, before it is given up as
# lost: longer than anything that the agent or the server may need to come back.
PATIENCE = 120.0

# How long to wait for a moment of a turn in which something is to be done.
_LATE_SECONDS = 6.0


class Client:
    """A user of one session, whose actions follow from `seed` and `number`.

    It stops acting when `halt` is set, after the answer that it waits for. Every other user leaves
    in the middle: stops the last turn as soon as it has written something.

    Attributes:
        done: how often it has done what.
    """

    def __init__(
        self, stack: Stack, seed: int, number: int, halt: threading.Event, *, alone: bool = False
    ) -> None:
        self._actions = actions(Random(f"{seed}/client/{number}"))
        # Connections of its own: a burst of one client keeps no other one waiting.
        stack = replace(stack, ingress=Ingress(stack.restate, echo=lambda line: None))
        self.session = Session(stack, f"stress-{number}-{uuid.uuid4().hex[:6]}")
        self.ledger = Ledger()
        self.done: dict[str, int] = {}
        self._operator = Operator(stack, self.session.key, alone=alone)
        self._halt = halt
        self._leaves_early = number % 2 == 0
        self._lock = threading.Lock()

    def run(self) -> None:
        """Act until told to halt."""
        while not self._halt.is_set():
            action = next(self._actions)
            name = type(action).__name__.lower()
            self.done[name] = self.done.get(name, 0) + 1
            match action:
                case Say() as order:
                    self._say(order)
                case SteerLate() as order:
                    self._steer_late(order)
                case Stop():
                    self._stop()
                case Read(handler):
                    self._read(handler)
                case Operate() as order:
                    deed = self._operator.act(order)
                    if deed:
                        self.ledger.deeds.append(deed)
                case Wait(seconds):
                    self._halt.wait(seconds)
        if self._leaves_early:
            self._send(self._new(Draft(PROGRAMS[0], "interrupt")))
            self._wait_for("write", threading.Event())
            self._stop()

    def _stop(self) -> None:
        key = f"{self.session.key} stop {len(self.ledger.stops) + 1}"
        began, answer = now(), self._ask("stop", idempotency_key=key)
        stopped = Stopped(began)
        if answer is not _NOTHING:
            stopped = Stopped(began, now(), answer["interrupted"])
        self.ledger.stops.append(stopped)

    def _say(self, order: Say) -> None:
        requests = [sent for draft in order.drafts for sent in [self._new(draft)] * order.sends]
        if not order.at_once:
            for sent in requests:
                self._send(sent)
            return
        threads = [
            threading.Thread(target=self._send, args=(sent,), daemon=True) for sent in requests
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _steer_late(self, order: SteerLate) -> None:
        if not self._wait_for(order.step, self._halt):
            return
        for draft in order.drafts:
            sent = self._new(draft)
            self._send(sent)
            if not sent.answers:
                return

    def _wait_for(self, step: str, halt: threading.Event) -> bool:
        """Wait until the model has done such a step for the newest turn; it may never come."""
        turn = max((sent.accepted["turn"] for sent in self.ledger.sent if sent.accepted), default=0)
        until = time.monotonic() + _LATE_SECONDS
        while not any(
            request.step == step and request.status == "completed"
            for request in self.session.requests(turn)
        ):
            if time.monotonic() > until or halt.wait(0.02):
                return False
        return True

    def _new(self, draft: Draft) -> Sent:
        content = f"{draft.program} ({len(self.ledger.sent) + 1})"
        task = self._newest_task() if draft.when_busy == "steer" else None
        # There is nothing to steer before the first message is accepted.
        steers_nothing = draft.when_busy == "steer" and task is None
        sent = Sent(content, None if steers_nothing else draft.when_busy, task)
        self.ledger.sent.append(sent)
        return sent

    def _newest_task(self) -> str | None:
        return next(
            (sent.accepted["task_id"] for sent in reversed(self.ledger.sent) if sent.accepted), None
        )

    def _send(self, sent: Sent) -> None:
        options = {"when_busy": sent.when_busy, "expected_task_id": sent.expected_task_id}
        body = {"content": sent.content} | {k: v for k, v in options.items() if v is not None}
        key = f"{self.session.key} {sent.content}"
        sent.began_at = sent.began_at or now()
        try:
            answer = self._persistently(
                f"message {sent.content!r}",
                lambda: self.session.call("message", body, idempotency_key=key),
            )
        except IngressError as error:
            answer = error
        with self._lock:
            if answer is _NOTHING:
                return
            sent.answered_at = sent.answered_at or now()
            if isinstance(answer, IngressError):
                sent.refusals.append((answer.status_code, answer.message))
            else:
                sent.answers.append(answer)

    def _read(self, handler: str) -> None:
        answer = self._ask(handler)
        if handler == "get_turns" and answer is not _NOTHING:
            for turn in answer:
                if turn["status"] != "running":
                    self.ledger.seen.setdefault(turn["turn"], turn)

    def _ask(self, handler: str, **options: Any) -> Any:
        """The answer of a handler that takes no input and refuses nobody."""
        try:
            return self._persistently(handler, lambda: self.session.call(handler, **options))
        except IngressError as error:
            self.ledger.wrong.append(str(error))
            return _NOTHING

    def _persistently(self, what: str, request: Callable[[], Any]) -> Any:
        """The answer to a request, repeated for as long as the server is away; nothing where it
        never came. Raises IngressError for an error that is an answer.
        """
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return request()
            except IngressError as error:
                if error.status_code <= 500:  # 500 is a handler's own; above, the server's
                    raise
                reason = str(error)
            except WorkbenchError as error:
                reason = str(error)
            if time.monotonic() > until:
                self.ledger.wrong.append(f"{what}: no answer in {PATIENCE:g} s; {reason}")
                return _NOTHING
            time.sleep(0.1)  # a pause between requests, not for a state


_NOTHING = object()
