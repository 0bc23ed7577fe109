"""What operators, crashes and a failing model do to a conversation, on top of it."""

from typing import ClassVar

from hypothesis import strategies as st

from tests.machine.conversation import CONTENTS, Conversation, step
from tests.machine.pace import CATCH, hurry_until, open_ones, streams
from tests.stress.clock import now
from tests.stress.faults import Trouble
from tests.stress.ledger import Deed, Sent
from tests.stress.operations import patiently
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
        self.around.troubles.append(Trouble("agent", began, now()))

    @step(
        content=CONTENTS,
        when_busy=st.sampled_from(("interrupt", "enqueue")),
        when=lambda self: self.crashes < self.most_crashes,
    )
    def message_while_the_agent_is_away(self, content: str, when_busy: str) -> None:
        self.crashes, began = 1, now()
        sent = Sent(f"{content} ({len(self.ledger.sent) + 1})", when_busy, began_at=began)
        self.ledger.sent.append(sent)
        self.stack.agent.kill()
        body, key = (
            {"content": sent.content, "when_busy": when_busy},
            f"{self.session.key} {sent.content}",
        )
        self.stack.ingress.send(
            "CodingAgent", "message", body, key=self.session.key, idempotency_key=key
        )
        self.stack.agent.start()
        self.around.troubles.append(Trouble("agent", began, now()))
        self.send(sent)

    @step(when=lambda self: self.crashes < self.most_crashes)
    def crash_the_server(self) -> None:
        self.crashes, began = 1, now()
        self.stack.restate.kill()
        self.stack.restate = start_restate("embedded", progress=lambda line: None)
        self.around.troubles.append(Trouble("server", began, now()))

    @step(kind=FAULTS, when=lambda self: self.fault is None)
    def the_model_fails(self, kind: str) -> None:
        self.fault, self.fault_began = kind, now()
        self.story.append(f"the model fails: {kind}")
        self.stack.model.fail(
            kind,
            retry_after=0.2 if kind == "rate_limit" else None,
            after_tokens=3 if kind == "cut" else None,
        )
        hurry_until(
            self.session,
            lambda: self._is_over() or open_ones(self.session, "paused"),
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
        hurry_until(
            self.session, lambda: self._is_over() or self.resume_all(), what="the turn to be over"
        )

    # Helpers

    def _mend(self) -> None:
        self.stack.model.mend()
        if self.fault:
            self.around.troubles.append(Trouble(self.fault, self.fault_began, now()))
        self.fault = None

    def _let_the_model_get_to(self, step: str) -> None:
        turn = self.turns[-1]["turn"]
        self.story.append(f"the model gets to {step}")
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

    def _operate(self, action: str, target: str, task: str, whom: str) -> None:
        """Ask for it; the target may be over by now. Wait until what is paused is."""
        refused = self.stack.admin.patch(f"/invocations/{target}/{action}", allow=(409, 425))
        self.ledger.deeds += [] if refused else [Deed(action, whom, task, now(), target)]
        self.story.append(
            f"{action} {whom}, {target}: {refused['message'] if refused else 'accepted'}"
        )
        if action == "pause":  # in the middle of an answer it comes about when that is complete
            hurry_until(
                self.session,
                lambda: self._status(target) in ("paused", "suspended", "completed"),
                what=f"{whom} to be paused or over",
            )

    def _status(self, id: str) -> str:
        sql = f"SELECT status FROM sys_invocation WHERE id = '{id}'"
        rows = patiently(lambda: self.stack.admin.query(sql))
        return str(rows[0]["status"]) if rows else "gone"

    def _is_over(self) -> bool:
        return bool(patiently(lambda: self.session.call("get_status"))["status"] == "idle")
