"""One impatient user of a session, and the operator who meddles with it."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from tests.sessions.log import Action, Log, Message, Stop, now
from tests.sessions.script import (
    PROGRAMS,
    Draft,
    Operate,
    Read,
    Say,
    SteerLate,
    Wait,
    steps,
)
from tests.sessions.script import Stop as SayStop
from tests.stack import Session, Stack
from workbench import AdminError, Ingress, IngressError, WorkbenchError

# How long a user waits for an answer, all repetitions taken together, before it is given up as
# lost: longer than anything that the agent or the server may need to come back.
PATIENCE = 120.0

# How long to wait for a moment of a turn in which something is to be done.
_LATE_SECONDS = 6.0

_NOTHING = object()


class User:
    """A user of one session, whose steps follow from `seed` and `number`.

    It stops when `halt` is set, after the answer that it waits for. Every other user leaves in the
    middle: stops the last turn as soon as it has written something.

    Attributes:
        done: how often it has done what.
    """

    def __init__(
        self, stack: Stack, seed: int, number: int, halt: threading.Event, log: Log, *, alone: bool
    ) -> None:
        self._steps = steps(Random(f"{seed}/client/{number}"))
        # Connections of its own: a burst of one user keeps no other one waiting.
        stack = replace(stack, ingress=Ingress(stack.restate, echo=lambda line: None))
        self.session = Session(stack, f"stress-{number}-{uuid.uuid4().hex[:6]}")
        self.log = log
        self.done: Counter[str] = Counter()
        self._operator = Operator(stack, self.session.key, alone=alone)
        self._halt = halt
        self._leaves_early = number % 2 == 0
        self._lock = threading.Lock()

    def run(self) -> None:
        """Act until told to halt."""
        while not self._halt.is_set():
            step = next(self._steps)
            self.done[type(step).__name__.lower()] += 1
            match step:
                case Say():
                    self._say(step)
                case SteerLate():
                    self._steer_late(step)
                case SayStop():
                    self._stop()
                case Read(handler):
                    self._read(handler)
                case Operate():
                    self.log.actions += self._operator.act(step)
                case Wait(seconds):
                    self._halt.wait(seconds)
        if self._leaves_early:
            self._send(self._new(Draft(PROGRAMS[0], "interrupt")))
            self._wait_for("write", threading.Event())
            self._stop()

    def _stop(self) -> None:
        key = f"{self.session.key} stop {len(self.log.stops) + 1}"
        sent_at, answer = now(), self._ask("stop", idempotency_key=key)
        stop = Stop(sent_at)
        if answer is not _NOTHING:
            stop = Stop(sent_at, now(), answer["interrupted"])
        self.log.stops.append(stop)

    def _say(self, step: Say) -> None:
        messages = [each for draft in step.drafts for each in [self._new(draft)] * step.sends]
        if not step.at_once:
            for message in messages:
                self._send(message)
            return
        threads = [
            threading.Thread(target=self._send, args=(message,), daemon=True)
            for message in messages
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _steer_late(self, step: SteerLate) -> None:
        if not self._wait_for(step.step, self._halt):
            return
        for draft in step.drafts:
            message = self._new(draft)
            self._send(message)
            if not message.answers:
                return

    def _wait_for(self, step: str, halt: threading.Event) -> bool:
        """Wait until the model has done such a step for the newest turn; it may never come."""
        turn = max(self._accepted(), key=lambda answer: answer["turn"], default={"turn": 0})["turn"]
        until = time.monotonic() + _LATE_SECONDS
        while not any(
            request.step == step and request.status == "completed"
            for request in self.session.requests(turn)
        ):
            if time.monotonic() > until or halt.wait(0.02):
                return False
        return True

    def _accepted(self) -> list[dict[str, Any]]:
        return [message.accepted for message in self.log.messages if message.accepted]

    def _new(self, draft: Draft) -> Message:
        content = f"{draft.program} ({len(self.log.messages) + 1})"
        accepted = self._accepted()
        task = accepted[-1]["task_id"] if accepted and draft.when_busy == "steer" else None
        # There is nothing to steer before the first message is accepted.
        steers_nothing = draft.when_busy == "steer" and task is None
        message = Message(content, None if steers_nothing else draft.when_busy, task)
        self.log.messages.append(message)
        return message

    def _send(self, message: Message) -> None:
        key = f"{self.session.key} {message.content}"
        message.sent_at = message.sent_at or now()
        try:
            answer = self._persistently(
                f"message {message.content!r}",
                lambda: self.session.call("message", body_of(message), idempotency_key=key),
            )
        except IngressError as error:
            answer = error
        with self._lock:
            if answer is _NOTHING:
                return
            message.answered_at = message.answered_at or now()
            if isinstance(answer, IngressError):
                message.refusals.append((answer.status_code, answer.message))
            else:
                message.answers.append(answer)

    def _read(self, handler: str) -> None:
        answer = self._ask(handler)
        if handler == "get_turns" and answer is not _NOTHING:
            self.log.look(answer)

    def _ask(self, handler: str, **options: Any) -> Any:
        """The answer of a handler that takes no input and refuses nobody."""
        try:
            return self._persistently(handler, lambda: self.session.call(handler, **options))
        except IngressError as error:
            self.log.wrong.append(str(error))
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
                self.log.wrong.append(f"{what}: no answer in {PATIENCE:g} s; {reason}")
                return _NOTHING
            time.sleep(0.1)  # a pause between requests, not for a state


def body_of(message: Message) -> dict[str, str]:
    """What is sent to `CodingAgent.message`."""
    options = {"when_busy": message.when_busy, "expected_task_id": message.expected_task_id}
    return {"content": message.content} | {k: v for k, v in options.items() if v is not None}


_ROW = "SELECT id, target, invoked_by_id FROM sys_invocation WHERE status != 'completed' AND "


class Operator:
    """Cancels, kills, pauses and resumes what a session has under way. Where `alone`, nobody
    resumes what it pauses, so it pauses only what a cancellation wakes: tasks and their steps.
    """

    def __init__(self, stack: Stack, session: str, *, alone: bool) -> None:
        self._stack = stack
        self._session = session
        self._alone = alone

    def act(self, order: Operate) -> list[Action]:
        """Carry out an order; nothing is done where there is nothing, or nobody to ask."""
        try:
            row = self._choose(order)
        except WorkbenchError:
            return []
        if row is None:
            return []
        if order.verb == "pause" and self._alone and "CodingTask/" not in row["target"]:
            return []
        action = Action(order.verb, row["id"], row["target"], row["task"], now())
        try:
            getattr(self._stack.admin, order.verb)(row["id"])
        except AdminError:
            return []  # it was over already, or cannot be paused where it is
        except WorkbenchError:
            pass  # the server broke off in the middle: it may have heard
        return [action]

    def _choose(self, order: Operate) -> dict[str, Any] | None:
        """The invocation that is meant, with the `task` that it works for."""
        if order.target == "message":
            found = self._open(f"target = 'CodingAgent/{self._session}/message'")
            rows = [{**row, "task": None} for row in found]
        else:
            tasks = self._open(
                "target = 'CodingTask/run_task' AND "
                f"invoked_by_target LIKE 'CodingAgent/{self._session}/%'"
            )
            rows = [{**row, "task": row["id"]} for row in tasks]
            if order.target == "step":
                children = self._below(rows)
                rows = children + self._below(children)
        return rows[int(order.which * len(rows))] if rows else None

    def _below(self, parents: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not parents:
            return []
        task_of = {row["id"]: row["task"] for row in parents}
        ids = ", ".join(f"'{id}'" for id in task_of)
        children = self._open(f"invoked_by_id IN ({ids})")
        return [{**row, "task": task_of[row["invoked_by_id"]]} for row in children]

    def _open(self, where: str) -> list[dict[str, Any]]:
        return self._stack.admin.query(f"{_ROW} {where} ORDER BY created_at, id")
