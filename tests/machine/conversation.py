"""One session and the person who talks to it, as a state machine for Hypothesis.

What was done is noted in the ledger of tests/stress, and judged by its invariants in the end. A
rule takes the same steps whenever it is used, so that a bad sequence can be cut down.
"""

from __future__ import annotations

import sys
import uuid
from functools import wraps
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.machine.pace import hold, hurry_until, open_ones
from tests.stack import Session, Stack
from tests.stress.clock import now
from tests.stress.invariants import violations
from tests.stress.ledger import Ledger, Sent, Stopped
from tests.stress.operations import (
    note_and_resume,
    open_invocations,
    patiently,
    resume,
)
from tests.stress.picture import Around, take_picture
from workbench import IngressError, start_restate

PATIENCE = 60.0  # seconds for any answer
ATTEMPTS = 3  # of a model call, before its task pauses
CONTENTS = st.sampled_from(("Write a greeter", "Write a to-do CLI", "Write it with Flask"))


def step(*, when: Any = None, **arguments: st.SearchStrategy[Any]) -> Any:
    """A rule, for use `when` this holds of what was done before; then the turns are looked at."""

    def decorate(method: Any) -> Any:
        @wraps(method)
        def and_look(self: Conversation, *given: Any, **drawn: Any) -> None:
            method(self, *given, **drawn)
            self.look()

        as_rule = rule(**arguments)(and_look)
        return precondition(when)(as_rule) if when else as_rule

    return decorate


class Conversation(RuleBasedStateMachine):
    """Set `stack` first: all examples run on it, each with a session of its own."""

    stack: ClassVar[Stack]

    def __init__(self) -> None:
        super().__init__()
        self.session = Session(self.stack, f"machine-{uuid.uuid4().hex[:12]}")
        self.ledger, self.around = Ledger(), Around(attempts=ATTEMPTS)
        self.open = False  # something may be at work: nothing was done that has surely ended it
        self.story: list[str] = []
        self._error_around = sys.exc_info()[1]
        hold(self.session)

    @property
    def turns(self) -> list[dict[str, Any]]:
        """The answers that began a turn, oldest first."""
        return [s.answers[0] for s in self.ledger.sent if s.answers and s.when_busy != "steer"]

    @initialize(content=CONTENTS)
    def begin(self, content: str) -> None:
        self.message(content)

    @step(content=CONTENTS)
    def message(self, content: str) -> None:
        self.say(content, "interrupt")

    @step(number=st.integers(0, 3), when=lambda self: bool(self.turns))
    def repeat_a_message(self, number: int) -> None:
        answered = [sent for sent in self.ledger.sent if sent.answers]
        self.send(answered[number % len(answered)])

    @step(when=lambda self: self.open)
    def stop(self) -> None:
        self.open = False
        began = now()
        task = self.session.call("stop", timeout=PATIENCE)["interrupted"]
        self.ledger.stops.append(Stopped(began, now(), task))
        self.story.append(f"stopped {task or 'nothing'}")

    def look(self) -> None:
        """Note which turns are over: they stay as they are."""
        for turn in patiently(self.session.turns):
            if turn["status"] != "running":
                self.ledger.seen.setdefault(turn["turn"], turn)

    def teardown(self) -> None:
        try:
            if sys.exc_info()[1] is self._error_around:  # no rule has failed
                self._end()
        finally:
            self._leave()

    def _end(self) -> None:
        """Mend everything, wait until nothing is at work, and look at what is left."""
        self.stack.model.mend()
        for look in (self.look, lambda: None):  # only a look finds a task that was killed
            hurry_until(
                self.session,
                lambda: not open_ones(self.session) or self.resume_all(),
                what="every invocation to be over",
            )
            look()
        ingress, admin, requests = self.stack.ingress, self.stack.admin, self.session.requests()
        wrong = violations(
            take_picture(ingress, admin, self.session.key, self.ledger, requests, self.around)
        )
        assert not wrong, "\n".join([*wrong, *(f"  {line}" for line in self.story)])

    def _leave(self) -> None:
        """Leave nothing behind that the next example could meet."""
        self.stack.model.mend()
        if sys.exc_info()[1] is not self._error_around:  # perhaps in the middle of a crash
            self.stack.restate = start_restate("embedded", progress=lambda line: None)
            self.stack.agent.start()
        while left := open_ones(self.session):
            for id in left:
                path = f"/invocations/{id}/kill"
                patiently(lambda path=path: self.stack.admin.patch(path, allow=(404, 409)))

    def say(self, content: str, when_busy: str) -> None:
        """Send a message that tells itself from all others."""
        task = self.turns[-1]["task_id"] if when_busy == "steer" else None
        sent = Sent(f"{content} ({len(self.ledger.sent) + 1})", when_busy, task)
        self.ledger.sent.append(sent)
        self.send(sent)

    def send(self, sent: Sent) -> None:
        """Send a message, once more if it was sent before; note its answer, or the refusal."""
        sent.began_at = sent.began_at or now()
        body = {"content": sent.content, "when_busy": sent.when_busy}
        if sent.expected_task_id:
            body["expected_task_id"] = sent.expected_task_id
        key = f"{self.session.key} {sent.content}"
        try:
            answer = self.session.call("message", body, idempotency_key=key, timeout=PATIENCE)
            sent.answers.append(answer)
            self.open = True
            self.story.append(f"{body} → {answer}")
        except IngressError as error:
            sent.refusals.append((error.status_code, error.message))
            self.story.append(f"{body}: {error}")
        sent.answered_at = sent.answered_at or now()

    def resume_all(self) -> None:
        """Be the operator who resumes what is paused; what backs off is tried at once."""
        rows = open_invocations(self.stack)
        note_and_resume(self.stack, rows, self.around.paused)
        for row in rows:
            if row["status"] == "backing-off":
                resume(self.stack, row["id"])
