"""One session and the person who talks to it, as a state machine for Hypothesis; `SessionMachine`
adds what operators, crashes and a failing model do.

What was done is noted in a log, and judged by the oracle in the end. A rule takes the same steps
whenever it is used, so that a bad sequence can be cut down.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from pprint import pformat
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.sessions.acts import Person
from tests.sessions.operations import broken, patiently, resume, under_way
from tests.sessions.our_agent import violations_of_our_agent
from tests.stack import Session, Stack
from workbench import wait_until
from workbench.oracle import violations
from workbench.oracle.log import Log, Message, Paused, now

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
            self.person.look()

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
        self.person = Person(self.session, self.log)
        self.open = False  # something may be at work: nothing was done that has surely ended it
        self._error_around = sys.exc_info()[1]
        self._hold()

    @initialize(content=CONTENTS)
    def begin(self, content: str) -> None:
        self.message(content)

    @step(content=CONTENTS)
    def message(self, content: str) -> None:
        self.say(content, "interrupt")

    @step(number=st.integers(0, 3), when=lambda self: bool(self.person.turns))
    def repeat_a_message(self, number: int) -> None:
        answered = [message for message in self.log.messages if message.answers]
        self.send(answered[number % len(answered)])

    @step(when=lambda self: self.open)
    def stop(self) -> None:
        self.open = False
        self.person.stop()

    def teardown(self) -> None:
        try:
            if sys.exc_info()[1] is self._error_around:  # no rule has failed
                self._end()
        finally:
            self._leave()

    def _end(self) -> None:
        """Mend everything, wait until nothing is at work, and judge what is left."""
        self.stack.model.mend()
        for _ in range(2):  # only a look finds a task that was killed
            self.hurry_until(
                lambda: not under_way(self.stack) or self.help(),
                what="every invocation to be over",
            )
            self.person.look()
        restate, requests = self.stack.restate, self.session.requests()
        where = (restate.ingress_url, restate.admin_url, self.session.key)
        if self.agent == "CodingAgent":
            wrong = violations_of_our_agent(*where, self.log, requests)
        else:
            wrong = violations(*where, self.log, requests, agent=self.agent)
        assert not wrong, "\n".join([*wrong, pformat(self.log, width=100)])

    def _leave(self) -> None:
        """Leave nothing behind that the next example could meet."""
        self.stack.model.mend()
        while left := under_way(self.stack):
            for each in left:
                path = f"/invocations/{each.id}/kill"
                patiently(lambda path=path: self.stack.admin.patch(path, allow=(404, 409)))

    def say(self, content: str, when_busy: str) -> None:
        """Send a message that tells itself from all others."""
        self.send(self.person.new(content, when_busy))

    def send(self, message: Message) -> None:
        """Send it, or send it again."""
        self.person.send(message)
        self.open = self.open or bool(message.answers)

    def help(self) -> None:
        """Approve what waits for that, and resume what is paused."""
        if self._waits() and (turn := self.person.waiting()):
            self.person.approve(turn["turn"], yes=True, plan=turn["approval"])
        self.resume_all()

    def resume_all(self) -> None:
        """Be the operator who resumes what is paused; what backs off is tried at once."""
        for each in under_way(self.stack):
            if each.status == "paused":
                self.log.paused.append(Paused(each.id, each.target, now()))
            if each.status in ("paused", "backing-off"):
                resume(self.stack, each.id)

    def hurry_until(
        self, check: Callable[[], object], *, what: str, first_token: float = 0.0
    ) -> None:
        """Let the model work until `check`, then hold it again."""
        self.stack.model.set(tokens_per_second=_HURRIED, first_token_seconds=first_token)
        try:
            wait_until(check, what=f"{self.session.key}: {what}", timeout=40.0, every=0.003)
        finally:
            self._hold()

    def _waits(self) -> bool:
        """Whether a plan waits for a yes."""
        if not any(message.approve for message in self.log.messages):
            return False
        status = patiently(lambda: self.session.call("get_status"))
        return bool((status.get("waiting") or {}).get("state") == "approval")

    def _hold(self) -> None:
        """From now on an answer takes many seconds."""
        self.stack.model.set(tokens_per_second=_HELD, first_token_seconds=0.0)


class SessionMachine(Conversation):
    """Everything that can be done to a session and around it, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.crashed = False  # once in an example is enough, for it takes a second
        self.fault: ExitStack | None = None  # of the model; closed, it is mended

    @step(content=CONTENTS, how=st.sampled_from(("enqueue", "rollback", "steer", "reject")))
    def message_when_busy(self, content: str, how: str) -> None:
        self.say(content, how)

    @step(content=CONTENTS, how=st.sampled_from(("interrupt", "enqueue")))
    def message_to_approve(self, content: str, how: str) -> None:
        self.send(self.person.new(content, how, approve=True))

    @step(
        yes=st.booleans(),
        before=st.integers(0, 1),
        exact=st.booleans(),
        when=lambda self: self.open and any(each.approve for each in self.log.messages),
    )
    def approve(self, yes: bool, before: int, exact: bool) -> None:
        """Say so to the plan that waits, or, `before` it, to one that does no more."""
        if self.fault is None:
            self.let_the_model_get_to(step="write")  # or to a plan that waits
        turn = self.person.waiting() or {"turn": len(self.person.turns), "approval": 1}
        number, plan = max(1, turn["turn"] - before), turn["approval"]
        self.person.approve(number, yes, plan if exact else None)

    # Operators

    @step(action=ACTIONS, before=st.integers(0, 1), when=lambda self: self.open)
    def operate_on_a_task(self, action: str, before: int) -> None:
        """The newest turn's, or that of the turn `before` it."""
        turns = self.person.turns
        task = turns[max(0, len(turns) - 1 - before)]["task_id"]
        self._operate(action, task, "CodingTask/run_task", task)

    @step(
        action=ACTIONS,
        which=st.sampled_from(("first", "last")),
        when=lambda self: self.open and self.fault is None,
    )
    def operate_on_a_file(self, action: str, which: str) -> None:
        """One of those that the newest turn has the model write, if it comes to that."""
        self.let_the_model_get_to(step="write")
        task, target = self.person.turns[-1]["task_id"], "CodingTask/write_file"
        files = self.stack.children(task, target)
        if files:  # none if the turn was over before
            self._operate(action, files[0 if which == "first" else -1], target, task)

    # What goes wrong around them

    @step(
        kind=st.sampled_from(("agent", "server")),
        when=lambda self: not self.crashed,
    )
    def crash(self, kind: str) -> None:
        self.crashed = True
        with broken(self.stack, kind, self.log.faults):
            pass

    @step(
        content=CONTENTS,
        when_busy=st.sampled_from(("interrupt", "enqueue")),
        when=lambda self: not self.crashed,
    )
    def message_while_the_agent_is_away(self, content: str, when_busy: str) -> None:
        self.crashed = True
        message = self.person.new(content, when_busy)
        message.sent_at = now()
        with broken(self.stack, "agent", self.log.faults):
            key = self.session.key
            self.stack.ingress.send(
                self.agent,
                "message",
                message.body,
                key=key,
                idempotency_key=f"{key} {message.content}",
            )
        self.send(message)

    @step(kind=FAULTS, when=lambda self: self.fault is None)
    def the_model_fails(self, kind: str) -> None:
        self.fault = ExitStack()
        self.fault.enter_context(broken(self.stack, kind, self.log.faults))
        self.hurry_until(
            self._is_stuck_or_over,
            what="the turn to be stuck or over",
        )

    @step(when=lambda self: self.fault is not None)
    def mend_the_model(self) -> None:
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
        turn = self.person.turns[-1]["turn"]

        def streams() -> bool:
            requests = self.session.requests(turn)
            return any(each.step == step and each.status == "streaming" for each in requests)

        self.hurry_until(
            lambda: streams() or self._is_stuck_or_over(),
            what=f"the model to {step} for turn {turn}",
            first_token=_CATCH,
        )

    @step(when=lambda self: self.open and self.fault is None)
    def wait_until_idle(self) -> None:
        """Be the operator who resumes what is paused, and the user who approves every plan, until
        the newest turn is over.
        """
        self.open = False
        self.hurry_until(lambda: self._is_over() or self.help(), what="the turn to be over")

    # Helpers

    def _mend(self) -> None:
        if self.fault:
            self.fault.close()
        self.fault = None

    def _operate(self, verb: str, id: str, target: str, task: str) -> None:
        """Ask for it, and wait until what is paused is."""
        self.person.operate(verb, id, target, task)
        if verb == "pause":  # in the middle of an answer it comes about when that is complete
            self.hurry_until(
                lambda: self._statuses().get(id) in ("paused", "suspended", None),
                what=f"{target} to be paused or over",
            )

    def _statuses(self) -> dict[str, str]:
        """The statuses of what is under way, by id."""
        return {each.id: each.status for each in under_way(self.stack)}

    def _is_stuck_or_over(self) -> bool:
        return self._is_over() or self._waits() or "paused" in self._statuses().values()

    def _is_over(self) -> bool:
        return bool(patiently(lambda: self.session.call("get_status"))["status"] == "idle")
