"""What operators, crashes and a failing model do to a conversation, on top of it."""

from typing import ClassVar

from hypothesis import strategies as st

from tests.machine.conversation import CONTENTS, PATIENCE, Conversation, step
from tests.machine.expected import Request
from tests.machine.pace import CATCH, hurry_until, open_ones, streams
from workbench import start_restate

ACTIONS = st.sampled_from(("cancel", "kill", "pause", "resume"))
LASTING_FAULT = "bad_request"  # fails the task; the others are tried again until they pass
FAULTS = st.sampled_from(("outage", "rate_limit", "cut", "empty", "refuse", LASTING_FAULT))


class SessionMachine(Conversation):
    """Everything that can be done to a session and around it, in any order."""

    most_crashes: ClassVar[int] = 1  # in one example, for they take a second each

    def __init__(self) -> None:
        super().__init__()
        self.fault: str | None = None
        self.crashes = 0

    def accepted(self, request: Request) -> None:
        super().accepted(request)
        self._note_lasting_fault()

    @step(content=CONTENTS, how=st.sampled_from(("enqueue", "rollback", "steer", "reject")))
    def message_when_busy(self, content: str, how: str) -> None:
        self.say(content, how)

    # Operators

    @step(action=ACTIONS, before=st.integers(0, 1), when=lambda self: self.open)
    def operate_on_a_task(self, action: str, before: int) -> None:
        """The newest turn's, or that of the turn `before` it."""
        turn = self.expected.turns[max(0, len(self.expected.turns) - 1 - before)]
        self._operate(action, turn.task, f"the task of turn {turn.number}")
        if action in ("cancel", "kill"):
            turn.may_become("interrupted" if action == "cancel" else "killed")

    @step(
        action=ACTIONS,
        which=st.sampled_from(("first", "last")),
        when=lambda self: self.open and self.fault is None,
    )
    def operate_on_a_file(self, action: str, which: str) -> None:
        """One of those that the newest turn has the model write, if it comes to that."""
        self._let_the_model_get_to("write")
        newest = self.expected.newest
        files = self.stack.children(newest.task, "CodingTask/write_file")
        if files:  # none if the turn was over before
            self._operate(action, files[0 if which == "first" else -1], f"the {which} file")
        if action in ("cancel", "kill"):
            newest.may_become("failed")

    # What goes wrong around them

    @step(when=lambda self: self.crashes < self.most_crashes)
    def crash_the_agent(self) -> None:
        self.crashes += 1
        self.stack.agent.kill()
        self.stack.agent.start()
        self.tell("the agent is back")

    @step(
        content=CONTENTS,
        when_busy=st.sampled_from(("interrupt", "enqueue")),
        when=lambda self: self.crashes < self.most_crashes,
    )
    def message_while_the_agent_is_away(self, content: str, when_busy: str) -> None:
        self.crashes += 1
        body, key = self.next_message(content, when_busy)
        self.stack.agent.kill()
        id = self.stack.ingress.send(
            "CodingAgent", "message", body, key=self.session.key, idempotency_key=key
        )
        self.stack.agent.start()
        self.accepted(Request(body, key, self.stack.ingress.attach(id, timeout=PATIENCE)))

    @step(when=lambda self: self.crashes < self.most_crashes)
    def crash_the_server(self) -> None:
        self.crashes += 1
        self.stack.restate.kill()
        self.stack.restate = start_restate("embedded", progress=lambda line: None)
        self.tell("the server is back")

    @step(kind=FAULTS, when=lambda self: self.fault is None)
    def the_model_fails(self, kind: str) -> None:
        self.fault = kind
        self.tell(f"the model fails: {kind}")
        self.stack.model.fail(
            kind,
            retry_after=0.2 if kind == "rate_limit" else None,
            after_tokens=3 if kind == "cut" else None,
        )
        self._note_lasting_fault()
        hurry_until(
            self.session,
            lambda: self._is_over() or open_ones(self.session, "paused", "backing-off"),
            what="the turn to be stuck or over",
        )

    @step(when=lambda self: self.fault is not None)
    def mend_the_model(self) -> None:
        self.tell("the model is mended, what was paused is resumed")
        self.fault = None
        self.stack.model.mend()
        self.resume_all()

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
        self.tell("all wait")
        hurry_until(
            self.session, lambda: self._is_over() or self.resume_all(), what="the turn to be over"
        )

    # Helpers

    def _let_the_model_get_to(self, step: str) -> None:
        turn = self.expected.newest.number
        self.tell(f"the model gets to {step}")
        hurry_until(
            self.session,
            lambda: (
                streams(self.session, turn, step)
                or self._is_over()
                or open_ones(self.session, "paused")
            ),
            what=f"the model to {step} for turn {turn}",
            first_token=CATCH,
        )

    def _operate(self, action: str, target: str, whom: str) -> None:
        """Ask for it; the target may be over by now. Wait until what is paused is."""
        refused = self.stack.admin.patch(f"/invocations/{target}/{action}", allow=(409, 425))
        self.tell(f"{action} {whom}, {target}: {refused['message'] if refused else 'accepted'}")
        if action == "pause":  # in the middle of an answer it comes about when that is complete
            hurry_until(
                self.session,
                lambda: self._status(target) in ("paused", "suspended", "completed"),
                what=f"{whom} to be paused or over",
            )

    def _note_lasting_fault(self) -> None:
        if self.fault == LASTING_FAULT:
            for turn in self.expected.may_be_open():
                turn.may_become("failed")

    def _status(self, id: str) -> str:
        rows = self.stack.admin.query(f"SELECT status FROM sys_invocation WHERE id = '{id}'")
        return str(rows[0]["status"]) if rows else "gone"

    def _is_over(self) -> bool:
        return bool(self.session.call("get_status")["status"] == "idle")
