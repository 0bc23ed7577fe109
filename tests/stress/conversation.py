"""One session and the person who talks to it, as a state machine for Hypothesis.

Hypothesis puts rules in sequence, and cuts a sequence that ends badly down to the shortest that
still does. It can do so as long as a rule takes the same steps whenever it is used: rules look at
what was done before, never at what time it is, and leave the model at a standstill.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterable
from functools import wraps
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.stack import Session, Stack
from tests.stress import whole
from tests.stress.expected import ExpectedSession
from tests.stress.pace import hold, hurry_until, open_ones
from workbench import start_restate

PATIENCE = 60.0  # seconds for any answer
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
        self.expected = ExpectedSession()
        self.open = False  # something may be at work: nothing was done that has surely ended it
        self.story: list[str] = []
        self._error_around = sys.exc_info()[1]
        hold(self.session)

    @initialize(content=CONTENTS)
    def begin(self, content: str) -> None:
        self.message(content)

    @step(content=CONTENTS)
    def message(self, content: str) -> None:
        content, key = self.next_message(content)
        answer = self.session.call(
            "message", {"content": content}, idempotency_key=key, timeout=PATIENCE
        )
        self.accepted(content, key, answer)

    @step(number=st.integers(0, 3))
    def repeat_a_message(self, number: int) -> None:
        turn = self.expected.turns[number % len(self.expected.turns)]
        answer = self.session.call(
            "message", {"content": turn.content}, idempotency_key=turn.key, timeout=PATIENCE
        )
        self.tell(f"repeated turn {turn.number}")
        self.hold_true(answer == turn.answer, f"its answer was {turn.answer}, now it is {answer}")

    @step(when=lambda self: self.open)
    def stop(self) -> None:
        self.open = False
        answer = self.session.call("stop", timeout=PATIENCE)
        self.tell(f"stopped {answer['interrupted'] or 'nothing'}")
        self.complain(self.expected.interrupted(answer))
        self._none_at_work(self.expected.tasks)

    def look(self) -> None:
        """Compare the turns and the status with what they must be by now."""
        status = self.session.call("get_status")
        turns = self.session.turns()
        newest = self.expected.newest
        if status["status"] == "working":
            self.hold_true(
                newest is not None and newest.end is None and status["task_id"] == newest.task,
                f"the status is {status}",
            )
        else:
            self.hold_true(turns[-1]["status"] != "running", "idle, with a turn that is running")
        self.complain(self.expected.compare(turns))

    def teardown(self) -> None:
        try:
            if sys.exc_info()[1] is self._error_around:  # no rule has failed
                self._end()
        finally:
            self._leave()

    def _end(self) -> None:
        """Mend everything, wait until nothing is at work, and look at what is left."""
        self.stack.model.mend()
        hurry_until(
            self.session,
            lambda: not open_ones(self.session) or self.resume_all(),
            what="every invocation to be over",
        )
        self.look()
        turns = self.session.turns()
        self.hold_true(turns[-1]["status"] != "running", "all is quiet, but a turn is running")
        self.complain(whole.faults(self.session, turns))

    def _leave(self) -> None:
        """Leave nothing behind that the next example could meet."""
        self.stack.model.mend()
        self.stack.restate = start_restate("embedded", progress=lambda line: None)
        self.stack.agent.start()
        while left := open_ones(self.session):
            for id in left:
                self.stack.admin.patch(f"/invocations/{id}/kill", allow=(404, 409))

    # Helpers

    def next_message(self, content: str) -> tuple[str, str]:
        """Content that tells its turn from all others, and an idempotency key."""
        number = len(self.expected.turns) + 1
        return f"{content} ({number})", f"{self.session.key}-{number}"

    def accepted(self, content: str, key: str, answer: dict[str, Any]) -> None:
        """Note a message that was answered; by now no earlier task is at work."""
        self.tell(f"turn {answer['turn']}, interrupted {answer['interrupted'] or 'nothing'}")
        self.complain(self.expected.accepted(content, key, answer))
        self.open = True
        self._none_at_work(self.expected.tasks[:-1])

    def _none_at_work(self, tasks: list[str]) -> None:
        ids = ", ".join(f"'{task}'" for task in tasks)
        where = f"id IN ({ids}) AND status != 'completed'"
        left = self.stack.count("sys_invocation", where) if tasks else 0
        self.hold_true(not left, f"{left} earlier task(s) are still at work")

    def resume_all(self) -> None:
        """Be the operator who resumes what is paused; what backs off is tried at once."""
        for id in open_ones(self.session, "paused", "backing-off"):
            self.stack.admin.patch(f"/invocations/{id}/resume", allow=(404, 409, 425))

    def tell(self, what: str) -> None:
        """Note what came of a step."""
        self.story.append(what)

    def hold_true(self, holds: bool, otherwise: str) -> None:
        self.complain(() if holds else (otherwise,))

    def complain(self, found: Iterable[str]) -> None:
        """Fail if anything was found, with the story so far: it may not happen twice."""
        complaints = list(found)
        assert not complaints, "\n".join(
            [*complaints, f"session {self.session.key}:", *(f"  {line}" for line in self.story)]
        )
