"""What was done to one session, and what those who did it were answered. Times are unix seconds."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

_BY_OPERATORS = ("cancelled", "canceled", "killed")

_EPOCH = time.time() - time.monotonic()


def now() -> float:
    """Unix seconds, counted on the monotonic clock, as the model's records are."""
    return _EPOCH + time.monotonic()


@dataclass
class Message:
    """One message, however often it was sent.

    Attributes:
        content: one paragraph, and unlike that of any other message of the session.
        answers: all answers that accepted it.
        refusals: the errors of the others, as (code, message).
        sent_at: when it was sent first.
        answered_at: when the first answer came, of either kind.
        approve: the plan of its turn waits for a yes.
    """

    content: str
    when_busy: str | None = None
    expected_task_id: str | None = None
    sent_at: float | None = None
    answers: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[tuple[int, str]] = field(default_factory=list)
    answered_at: float | None = None
    approve: bool = False

    @property
    def accepted(self) -> dict[str, Any] | None:
        return self.answers[0] if self.answers else None

    @property
    def body(self) -> dict[str, Any]:
        """What is sent to `message`."""
        options = {
            **{"when_busy": self.when_busy, "expected_task_id": self.expected_task_id},
            "approve": self.approve or None,
        }
        return {"content": self.content} | {k: v for k, v in options.items() if v is not None}

    @property
    def interrupts(self) -> bool:
        """Whether it ends the turns that are open."""
        return self.when_busy in (None, "interrupt", "rollback")

    @property
    def may_have_been_heard(self) -> bool:
        """Whether nobody can know if it was accepted: it got no answer, or an operator ended it."""
        return not self.answers and (self.ended_by_operator or self.answered_at is None)

    @property
    def ended_by_operator(self) -> bool:
        """Whether some answer says that an operator ended the message itself."""
        return any(code == 409 and said in _BY_OPERATORS for code, said in self.refusals)


@dataclass(frozen=True)
class Stop:
    """A `stop`; `answered_at` is None, and nobody knows what it did, where no answer came."""

    sent_at: float
    answered_at: float | None = None
    interrupted: str | None = None


@dataclass(frozen=True)
class Verdict:
    """A yes or no to the plan of a turn that was not refused.

    Attributes:
        plan: the number of the plan that it was taken for; None where no answer came.
    """

    turn: int
    yes: bool
    sent_at: float
    answered_at: float = float("inf")
    plan: int | None = None


@dataclass(frozen=True)
class Action:
    """What an operator did to an invocation.

    Attributes:
        verb: cancel, kill, pause or resume.
        id: the invocation.
        target: what it runs, for people.
        task: the task that it is, or works for; None if it is a handler of the session.
    """

    verb: str
    id: str
    target: str
    task: str | None
    at: float

    @property
    def on_task(self) -> bool:
        """Whether it was done to a task, not to what works for one."""
        return self.task == self.id


@dataclass(frozen=True)
class Fault:
    """What was broken, and when: "agent" or "server" (away), or a fault of the scripted model."""

    kind: str
    began_at: float
    ended_at: float


@dataclass(frozen=True)
class Paused:
    """An invocation that was seen paused."""

    id: str
    target: str
    at: float


@dataclass
class Log:
    """All of it, in the order of time.

    Attributes:
        faults, paused: those of the whole server; sessions may share the lists.
        seen: the turns that were over when somebody looked, as they were first seen, by number.
        wrong: what was wrong at once.
        attempts: how often the agent tries a model call before its task pauses.
        cancel_timeout: how many seconds a cancelled task may take before the agent kills it.
        approval_timeout: how many seconds a plan waits for a yes.
    """

    messages: list[Message] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    paused: list[Paused] = field(default_factory=list)
    seen: dict[int, dict[str, Any]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    attempts: int = 12
    cancel_timeout: float = 120.0
    approval_timeout: float = 86_400.0

    @property
    def interruptions(self) -> list[Message | Stop]:
        """What was sent to end the turns that are open."""
        messages = [each for each in self.messages if each.interrupts and each.sent_at]
        return [*messages, *self.stops]

    @property
    def outages(self) -> list[tuple[float, float]]:
        """When the agent or the server was away."""
        away = [each for each in self.faults if each.kind in ("agent", "server")]
        return [(each.began_at, each.ended_at) for each in away]

    def look(self, turns: list[dict[str, Any]]) -> None:
        """Note which turns are over: they stay as they are."""
        for turn in turns:
            if turn["status"] != "running":
                self.seen.setdefault(turn["turn"], turn)
