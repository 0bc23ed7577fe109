"""What a person can do to a session. Both drivers use these acts, which note in the session's log
what was done and what came back.
"""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

from tests.stack import Session
from workbench import AdminError, IngressError, WorkbenchError
from workbench.oracle.log import Action, Log, Message, Stop, Verdict, now

PATIENCE = 120.0
"""Seconds until an answer is given up as lost, all repetitions of the request taken together. Agent
and server need less than that to come back."""


class Person:
    """Talks to a session. Several threads may send messages at once."""

    def __init__(self, session: Session, log: Log) -> None:
        self.session = session
        self.log = log
        self._lock = threading.Lock()

    @property
    def turns(self) -> list[dict[str, Any]]:
        """The answers that began a turn, in the order of the turns."""
        begun = [m.accepted for m in self.log.messages if m.accepted and m.when_busy != "steer"]
        return sorted(begun, key=lambda answer: answer["turn"])

    def new(self, content: str, when_busy: str | None, approve: bool = False) -> Message:
        """Note a message that is to be sent. Its number tells it from all others; what steers is
        meant for the newest turn, and there is nothing to steer before the first one. What does not
        steer may want its plan to be approved.
        """
        turns = self.turns
        if when_busy == "steer" and not turns:
            when_busy = None
        message = Message(
            content=f"{content} ({len(self.log.messages) + 1})",
            when_busy=when_busy,
            expected_task_id=turns[-1]["task_id"] if when_busy == "steer" else None,
            approve=approve and when_busy != "steer",
        )
        self.log.messages.append(message)
        return message

    def send(self, message: Message) -> None:
        """Send a message, or send it again, and note its answer or why it was refused."""
        message.sent_at = message.sent_at or now()
        answer, refusal = None, None
        try:
            answer = self._ask("message", message.body, message.content)
        except IngressError as error:
            refusal = error.status_code, error.message
        with self._lock:
            if answer:
                message.answers.append(answer)
            if refusal:
                message.refusals.append(refusal)
            if answer or refusal:
                message.answered_at = message.answered_at or now()

    def stop(self) -> None:
        """Interrupt what is at work."""
        sent_at, answer = now(), self.read("stop", f"stop {len(self.log.stops) + 1}")
        self.log.stops.append(
            Stop(sent_at, now(), answer["interrupted"]) if answer else Stop(sent_at)
        )

    def approve(self, turn: int, yes: bool, plan: int | None = None) -> None:
        """Say yes or no to the plan of a turn, and note that if it was not refused."""
        sent_at, number = now(), f"verdict {uuid.uuid4().hex[:12]}"
        body = {"turn": turn, "yes": yes} | ({"plan": plan} if plan else {})
        try:
            answer = self._ask("approve", body, number)
        except IngressError as error:
            if error.status_code != 409:
                self.log.wrong.append(str(error))
            return
        answered = {"answered_at": now(), "plan": answer["plan"]} if answer else {}
        self.log.verdicts.append(Verdict(turn, yes, sent_at, **answered))

    def waiting(self) -> dict[str, Any] | None:
        """The turn whose plan waits for a yes."""
        turns = self.read("get_turns") or []
        return next((turn for turn in turns if turn.get("approval")), None)

    def look(self) -> None:
        """Note which turns are over: they stay as they are."""
        self.log.look(self.read("get_turns") or [])

    def read(self, handler: str, number: str | None = None) -> Any:
        """The answer of a handler that takes no input and refuses nobody; None if it never came."""
        try:
            return self._ask(handler, None, number)
        except IngressError as error:
            self.log.wrong.append(str(error))
            return None

    def operate(self, verb: str, id: str, target: str, task: str | None) -> None:
        """Cancel, kill, pause or resume an invocation; it may be over by now, and that refused."""
        action = Action(verb, id, target, task, now())
        try:
            getattr(self.session.stack.admin, verb)(id)
        except AdminError as error:
            if error.status_code < 500:
                return
        except WorkbenchError:
            pass  # the server broke off in the middle: it may have heard
        self.log.actions.append(action)

    def _ask(self, handler: str, body: Any, number: str | None) -> Any:
        """The answer to a request, repeated for as long as the server is away; None if it never
        came. Raises IngressError for an error that is an answer.
        """
        key = f"{self.session.key} {number}" if number else None
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return self.session.call(handler, body, idempotency_key=key)
            except WorkbenchError as error:
                # 500 is a handler's own error; what is above is the server's.
                if isinstance(error, IngressError) and error.status_code <= 500:
                    raise
                if time.monotonic() > until:
                    said = f"{handler} {number or ''}: no answer in {PATIENCE:g} s; {error}"
                    self.log.wrong.append(said)
                    return None
            time.sleep(0.1)  # a pause between requests, not for a state
