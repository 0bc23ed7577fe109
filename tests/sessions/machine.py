"""One session and the person who talks to it, as a state machine for Hypothesis; `SessionMachine`
adds what operators, crashes and a failing model do.

What was done is noted in a log, and judged by the oracle in the end. A rule takes the same steps
whenever it is used, so that a bad sequence can be cut down.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.sessions.log import Action, Fault, Log, Message, Stop, now
from tests.sessions.operations import note_and_resume, patiently, resume
from tests.sessions.oracle import violations
from tests.sessions.our_agent import violations_of_our_agent
from tests.sessions.users import body_of
from tests.stack import Session, Stack
from workbench import IngressError, start_restate, wait_until

PATIENCE = 60.0  # seconds for any answer
ATTEMPTS = 3  # of a model call, before its task pauses
CONTENTS = st.sampled_from(("Write a greeter", "Write a to-do CLI", "Write it with Flask"))
ACTIONS = st.sampled_from(("cancel", "kill", "pause", "resume"))
LASTING_FAULT = "bad_request"  # fails the task; the others are tried again until they pass
FAULTS = st.sampled_from(("outage", "rate_limit", "cut", "empty", "refuse", LASTING_FAULT))

# The model stands still, nearly, while nobody waits for it: what is done next meets the same moment
# of a turn each time.
_HELD, _HURRIED = 20.0, 5000.0
_CATCH = 0.2  # seconds before the first token, in which a stream is caught and held


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
    """Set `stack` first: all examples run on it, each with a session of its own.

    It uses the wire contract alone, so `agent` may be any that keeps it.
    """

    stack: ClassVar[Stack]
    agent: ClassVar[str] = "CodingAgent"

    def __init__(self) -> None:
        super().__init__()
        self.session = Session(self.stack, f"machine-{uuid.uuid4().hex[:12]}", self.agent)
        self.log = Log(attempts=ATTEMPTS)
        self.open = False  # something may be at work: nothing was done that has surely ended it
        self.story: list[str] = []
        self._error_around = sys.exc_info()[1]
        self._hold()

    @property
    def turns(self) -> list[dict[str, Any]]:
        """The answers that began a turn, oldest first."""
        return [m.answers[0] for m in self.log.messages if m.answers and m.when_busy != "steer"]

    @initialize(content=CONTENTS)
    def begin(self, content: str) -> None:
        self.message(content)

    @step(content=CONTENTS)
    def message(self, content: str) -> None:
        self.say(content, "interrupt")

    @step(number=st.integers(0, 3), when=lambda self: bool(self.turns))
    def repeat_a_message(self, number: int) -> None:
        answered = [message for message in self.log.messages if message.answers]
        self.send(answered[number % len(answered)])

    @step(when=lambda self: self.open)
    def stop(self) -> None:
        self.open = False
        sent_at = now()
        task = self.session.call("stop", timeout=PATIENCE)["interrupted"]
        self.log.stops.append(Stop(sent_at, now(), task))
        self.story.append(f"stopped {task or 'nothing'}")

    def look(self) -> None:
        """Note which turns are over: they stay as they are."""
        self.log.look(patiently(self.session.turns))

    def teardown(self) -> None:
        try:
            if sys.exc_info()[1] is self._error_around:  # no rule has failed
                self._end()
        finally:
            self._leave()

    def _end(self) -> None:
        """Mend everything, wait until nothing is at work, and judge what is left."""
        self.stack.model.mend()
        for look in (self.look, lambda: None):  # only a look finds a task that was killed
            self.hurry_until(
                lambda: not self.open_ones() or self.resume_all(),
                what="every invocation to be over",
            )
            look()
        restate, requests = self.stack.restate, self.session.requests()
        where = (restate.ingress_url, restate.admin_url, self.session.key)
        wrong = violations(*where, self.log, requests, agent=self.agent)
        if self.agent == "CodingAgent":
            wrong += violations_of_our_agent(*where, self.log, requests)
        assert not wrong, "\n".join([*wrong, *(f"  {line}" for line in self.story)])

    def _leave(self) -> None:
        """Leave nothing behind that the next example could meet."""
        self.stack.model.mend()
        if sys.exc_info()[1] is not self._error_around:  # perhaps in the middle of a crash
            self.stack.restate = start_restate("embedded", progress=lambda line: None)
            self.stack.agent.start()
        while left := self.open_ones():
            for id in left:
                path = f"/invocations/{id}/kill"
                patiently(lambda path=path: self.stack.admin.patch(path, allow=(404, 409)))

    def say(self, content: str, when_busy: str) -> None:
        """Send a message that tells itself from all others."""
        message = self.new(content, when_busy)
        self.send(message)

    def new(self, content: str, when_busy: str) -> Message:
        task = self.turns[-1]["task_id"] if when_busy == "steer" else None
        message = Message(f"{content} ({len(self.log.messages) + 1})", when_busy, task)
        self.log.messages.append(message)
        return message

    def send(self, message: Message) -> None:
        """Send a message, once more if it was sent before; note its answer, or the refusal."""
        message.sent_at = message.sent_at or now()
        body, key = body_of(message), f"{self.session.key} {message.content}"
        try:
            answer = self.session.call("message", body, idempotency_key=key, timeout=PATIENCE)
            message.answers.append(answer)
            self.open = True
            self.story.append(f"{body} → {answer}")
        except IngressError as error:
            message.refusals.append((error.status_code, error.message))
            self.story.append(f"{body}: {error}")
        message.answered_at = message.answered_at or now()

    def resume_all(self) -> None:
        """Be the operator who resumes what is paused; what backs off is tried at once."""
        rows = patiently(self.stack.open_invocations)
        note_and_resume(self.stack, rows, self.log.paused)
        for row in rows:
            if row["status"] == "backing-off":
                resume(self.stack, row["id"])

    def open_ones(self, *statuses: str) -> list[str]:
        """The ids of all invocations that are not over; only those with these statuses, if
        given.
        """
        rows = patiently(self.stack.open_invocations)
        return [row["id"] for row in rows if not statuses or row["status"] in statuses]

    def hurry_until(
        self, check: Callable[[], object], *, what: str, first_token: float = 0.0
    ) -> None:
        """Let the model work until `check`, then hold it again."""
        self.stack.model.set(tokens_per_second=_HURRIED, first_token_seconds=first_token)
        try:
            wait_until(check, what=f"{self.session.key}: {what}", timeout=40.0, every=0.003)
        finally:
            self._hold()

    def _hold(self) -> None:
        """From now on an answer takes many seconds."""
        self.stack.model.set(tokens_per_second=_HELD, first_token_seconds=0.0)


class SessionMachine(Conversation):
    """Everything that can be done to a session and around it, in any order."""

    most_crashes: ClassVar[int] = 1  # in one example, for they take a second each

    def __init__(self) -> None:
        super().__init__()
        self.fault: str | None = None
        self.fault_began = 0.0
        self.crashes = 0

    @step(content=CONTENTS, how=st.sampled_from(("enqueue", "rollback", "steer", "reject")))
    def message_when_busy(self, content: str, how: str) -> None:
        self.say(content, how)

    # Operators

    @step(action=ACTIONS, before=st.integers(0, 1), when=lambda self: self.open)
    def operate_on_a_task(self, action: str, before: int) -> None:
        """The newest turn's, or that of the turn `before` it."""
        task = self.turns[max(0, len(self.turns) - 1 - before)]["task_id"]
        self._operate(action, task, task, "CodingTask/run_task")

    @step(
        action=ACTIONS,
        which=st.sampled_from(("first", "last")),
        when=lambda self: self.open and self.fault is None,
    )
    def operate_on_a_file(self, action: str, which: str) -> None:
        """One of those that the newest turn has the model write, if it comes to that."""
        self._let_the_model_get_to("write")
        task = self.turns[-1]["task_id"]
        files = self.stack.children(task, "CodingTask/write_file")
        if files:  # none if the turn was over before
            file = files[0 if which == "first" else -1]
            self._operate(action, file, task, "CodingTask/write_file")

    # What goes wrong around them

    @step(when=lambda self: self.crashes < self.most_crashes)
    def crash_the_agent(self) -> None:
        self.crashes, began = 1, now()
        self.stack.agent.kill()
        self.stack.agent.start()
        self.log.faults.append(Fault("agent", began, now()))

    @step(
        content=CONTENTS,
        when_busy=st.sampled_from(("interrupt", "enqueue")),
        when=lambda self: self.crashes < self.most_crashes,
    )
    def message_while_the_agent_is_away(self, content: str, when_busy: str) -> None:
        self.crashes, began = 1, now()
        message = self.new(content, when_busy)
        message.sent_at = began
        self.stack.agent.kill()
        self.stack.ingress.send(
            self.agent,
            "message",
            body_of(message),
            key=self.session.key,
            idempotency_key=f"{self.session.key} {message.content}",
        )
        self.stack.agent.start()
        self.log.faults.append(Fault("agent", began, now()))
        self.send(message)

    @step(when=lambda self: self.crashes < self.most_crashes)
    def crash_the_server(self) -> None:
        self.crashes, began = 1, now()
        self.stack.restate.kill()
        self.stack.restate = start_restate("embedded", progress=lambda line: None)
        self.log.faults.append(Fault("server", began, now()))

    @step(kind=FAULTS, when=lambda self: self.fault is None)
    def the_model_fails(self, kind: str) -> None:
        self.fault, self.fault_began = kind, now()
        self.story.append(f"the model fails: {kind}")
        self.stack.model.fail(
            kind,
            retry_after=0.2 if kind == "rate_limit" else None,
            after_tokens=3 if kind == "cut" else None,
        )
        self.hurry_until(
            lambda: self._is_over() or self.open_ones("paused"),
            what="the turn to be stuck or over",
        )

    @step(when=lambda self: self.fault is not None)
    def mend_the_model(self) -> None:
        self.story.append("the model is mended, what was paused is resumed")
        self._mend()
        self.resume_all()

    def teardown(self) -> None:
        self._mend()
        super().teardown()

    # What is waited for

    @step(
        step=st.sampled_from(("plan", "write", "review")),
        when=lambda self: self.open and self.fault is None,
    )
    def let_the_model_get_to(self, step: str) -> None:
        self._let_the_model_get_to(step)

    @step(when=lambda self: self.open and self.fault is None)
    def wait_until_idle(self) -> None:
        """Be the operator who resumes what is paused, until the newest turn is over."""
        self.open = False
        self.story.append("all wait")
        self.hurry_until(lambda: self._is_over() or self.resume_all(), what="the turn to be over")

    # Helpers

    def _mend(self) -> None:
        self.stack.model.mend()
        if self.fault:
            self.log.faults.append(Fault(self.fault, self.fault_began, now()))
        self.fault = None

    def _let_the_model_get_to(self, step: str) -> None:
        turn = self.turns[-1]["turn"]
        self.story.append(f"the model gets to {step}")

        def streams() -> bool:
            requests = self.session.requests(turn)
            return any(each.step == step and each.status == "streaming" for each in requests)

        self.hurry_until(
            lambda: streams() or self._is_over() or self.open_ones("paused"),
            what=f"the model to {step} for turn {turn}",
            first_token=_CATCH,
        )

    def _operate(self, verb: str, target: str, task: str, what: str) -> None:
        """Ask for it; the target may be over by now. Wait until what is paused is."""
        refused = self.stack.admin.patch(f"/invocations/{target}/{verb}", allow=(409, 425))
        self.log.actions += [] if refused else [Action(verb, target, what, task, now())]
        said = refused["message"] if refused else "accepted"
        self.story.append(f"{verb} {what}, {target}: {said}")
        if verb == "pause":  # in the middle of an answer it comes about when that is complete
            self.hurry_until(
                lambda: self._status(target) in ("paused", "suspended", "completed"),
                what=f"{what} to be paused or over",
            )

    def _status(self, id: str) -> str:
        sql = f"SELECT status FROM sys_invocation WHERE id = '{id}'"
        rows = patiently(lambda: self.stack.admin.query(sql))
        return str(rows[0]["status"]) if rows else "gone"

    def _is_over(self) -> bool:
        return bool(patiently(lambda: self.session.call("get_status"))["status"] == "idle")
