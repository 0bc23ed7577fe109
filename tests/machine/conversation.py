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

from tests.machine import whole
from tests.machine.expected import ExpectedSession, Request
from tests.machine.pace import hold, hurry_until, open_ones
from tests.stack import Session, Stack
from workbench import IngressError, start_restate, wait_until

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
        self.sent, self.repeats = 0, 0
        self.story: list[str] = []
        self._error_around = sys.exc_info()[1]
        hold(self.session)

    @initialize(content=CONTENTS)
    def begin(self, content: str) -> None:
        self.message(content)

    @step(content=CONTENTS)
    def message(self, content: str) -> None:
        self.say(content, "interrupt")

    @step(number=st.integers(0, 3), when=lambda self: self.repeats < self.sent)
    def repeat_a_message(self, number: int) -> None:
        self.repeats += 1
        request = self.expected.requests[number % len(self.expected.requests)]
        answer = self.session.call(
            "message", request.body, idempotency_key=request.key, timeout=PATIENCE
        )
        self.tell(f"repeated {request.body['content']!r}")
        self.hold_true(answer == request.answer, f"it was {request.answer}, now it is {answer}")

    @step(when=lambda self: self.open)
    def stop(self) -> None:
        self.open = False
        task = self.session.call("stop", timeout=PATIENCE)["interrupted"]
        self.tell(f"stopped {task or 'nothing'}")
        self.complain(self.expected.interrupted(task))
        self._none_at_work_that_must_be_over()

    def look(self) -> None:
        """Compare the turns and the status with what they must be by now."""
        reports = f"target = 'CodingAgent/{self.session.key}/task_finished'"
        wait_until(
            lambda: not self.stack.count("sys_invocation", f"{reports} AND status != 'completed'"),
            what="every report that was sent to have been heard",
            timeout=PATIENCE,
        )
        status = self.session.call("get_status")
        turns = self.session.turns()
        if status["status"] == "working":
            at_work = [
                turn for turn in self.expected.may_be_open() if turn.number == status["turn"]
            ]
            earlier = [turn for turn in turns if turn["turn"] < status["turn"]]
            self.hold_true(
                [turn.task for turn in at_work] == [status["task_id"]]
                and all(turn["status"] != "running" for turn in earlier),
                f"the status is {status}, but the turns are {turns}",
            )
        else:
            self.hold_true(self._all_over(turns), f"idle, with a turn that is running: {turns}")
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
        self.hold_true(self._all_over(turns), f"all is quiet, but a turn is running: {turns}")
        self.complain(self.expected.compare_history(self.session.call("get_history")))
        self.complain(whole.faults(self.session, turns))

    def _leave(self) -> None:
        """Leave nothing behind that the next example could meet."""
        self.stack.model.mend()
        if sys.exc_info()[1] is not self._error_around:  # perhaps in the middle of a crash
            self.stack.restate = start_restate("embedded", progress=lambda line: None)
            self.stack.agent.start()
        while left := open_ones(self.session):
            for id in left:
                self.stack.admin.patch(f"/invocations/{id}/kill", allow=(404, 409))

    # Helpers

    def say(self, content: str, when_busy: str) -> None:
        """Send a message, and note its answer or that it was refused."""
        body, key = self.next_message(content, when_busy)
        try:
            answer = self.session.call("message", body, idempotency_key=key, timeout=PATIENCE)
        except IngressError as error:
            self.tell(f"{when_busy}: {error}")
            self.complain(self.expected.refused(when_busy, error.metadata.get("task_id")))
            self.hold_true(error.status_code == 409, f"{error}")
        else:
            self.accepted(Request(body, key, answer))

    def next_message(self, content: str, when_busy: str) -> tuple[dict[str, Any], str]:
        """A message that tells itself from all others, and an idempotency key."""
        self.sent += 1
        body = {"content": f"{content} ({self.sent})", "when_busy": when_busy}
        if when_busy == "steer":
            body["expected_task_id"] = self.expected.newest.task
        return body, f"{self.session.key}-{self.sent}"

    def accepted(self, request: Request) -> None:
        """Note a message that was answered."""
        self.tell(f"{request.body} → {request.answer}")
        self.complain(self.expected.accepted(request))
        self.open = True
        self._none_at_work_that_must_be_over()

    def _none_at_work_that_must_be_over(self) -> None:
        if tasks := self.expected.tasks_that_must_be_over:
            ids = ", ".join(f"'{task}'" for task in tasks)
            left = self.stack.count("sys_invocation", f"id IN ({ids}) AND status != 'completed'")
            self.hold_true(not left, f"{left} interrupted task(s) are still at work")

    @staticmethod
    def _all_over(turns: list[dict[str, Any]]) -> bool:
        return all(turn["status"] != "running" for turn in turns)

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
