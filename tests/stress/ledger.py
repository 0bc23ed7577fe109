"""What one client has asked for, and what it was answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_BY_OPERATORS = ("cancelled", "canceled", "killed")


@dataclass
class Sent:
    """One message, however often it was sent. Times are unix seconds.

    Attributes:
        answers: all answers that accepted it.
        refusals: the errors of the others, as (code, message).
        began_at: when it was sent first.
        answered_at: when the first answer came, of either kind.
    """

    content: str
    when_busy: str | None = None
    expected_task_id: str | None = None
    began_at: float | None = None
    answers: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[tuple[int, str]] = field(default_factory=list)
    answered_at: float | None = None

    @property
    def accepted(self) -> dict[str, Any] | None:
        return self.answers[0] if self.answers else None

    @property
    def may_have_been_heard(self) -> bool:
        """Whether nobody can know if it was accepted: it got no answer, or an operator ended it."""
        return not self.answers and (self.ended_by_operator or self.answered_at is None)

    @property
    def ended_by_operator(self) -> bool:
        """Whether some answer says that an operator ended the message itself."""
        return any(code == 409 and said in _BY_OPERATORS for code, said in self.refusals)


@dataclass(frozen=True)
class Deed:
    """What an operator did to an invocation: a task, one below it, or (no `task`) a message."""

    verb: str
    target: str
    task: str | None
    at: float
    id: str = ""


@dataclass(frozen=True)
class Stopped:
    """A `stop`; `answered_at` is None, and nobody knows what it did, where no answer came."""

    began_at: float
    answered_at: float | None = None
    interrupted: str | None = None


@dataclass
class Ledger:
    """All of it, in the order of time.

    Attributes:
        seen: the turns that were over when the client looked, as it saw them first, by number.
        wrong: what was wrong at once.
    """

    sent: list[Sent] = field(default_factory=list)
    stops: list[Stopped] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    seen: dict[int, dict[str, Any]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        return sum(bool(sent.answers) for sent in self.sent)
