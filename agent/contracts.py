"""The JSON that goes between a client, a session and its tasks. All else is refused, with a 400
that says why.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from restate import TerminalError
from restate.extensions import current_context

# Numbers have an upper end: Python takes integers of thousands of digits from JSON, but a header
# that names a turn does not, and a sum of two of them cannot be read back.
TurnNumber = Annotated[int, Field(ge=1, le=2**31 - 1)]
InvocationId = Annotated[str, Field(pattern=r"^inv_[0-9A-Za-z]{1,64}$")]


class Wire(BaseModel):
    """Refuses unknown fields, and values of another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


def checked(model: type[BaseModel]) -> list[Callable[[], AbstractAsyncContextManager[None]]]:
    """The `invocation_context_managers` of a handler that takes a `model`.

    Left to itself the SDK answers input that does not fit with 500. A context manager of the
    handler runs inside the invocation and ahead of that, so the error has the right status.
    """

    @asynccontextmanager
    async def check() -> AsyncIterator[None]:
        context = current_context()
        assert context is not None  # inside an invocation there is one
        try:
            model.model_validate_json(context.request().body or b"null")
        except ValidationError as error:
            message = f"{model.__name__}: {fault(error)}"
            raise TerminalError(message, status_code=400) from None
        yield

    return [check]


def fault(error: ValidationError) -> str:
    """Says where input is wrong and why, without quoting it."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the body"
    return f"{where}: {first['msg']}"


class Message(Wire):
    """A user's message, and what it does to the open turns.

    Attributes:
        when_busy: "interrupt" ends them; what they had planned stays in the conversation.
            "rollback" ends them and hides them from the model.
            "enqueue" waits for them.
            "reject" answers 409.
            "steer" hands the message to the task at work, which is `expected_task_id`.
        approve: each plan of its turn waits for a yes (`approve`) before anything is written.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"when_busy": {"const": "steer"}}, "required": ["when_busy"]},
            "then": {
                "properties": {"expected_task_id": {"type": "string"}, "approve": {"const": False}},
                "required": ["expected_task_id"],
            },
            "else": {"properties": {"expected_task_id": {"type": "null"}}},
        }
    )

    content: str = Field(min_length=1, max_length=32_000)
    when_busy: Literal["interrupt", "rollback", "enqueue", "reject", "steer"] = "interrupt"
    expected_task_id: InvocationId | None = None
    approve: bool = False

    @model_validator(mode="after")
    def _check_expected_task_id(self) -> "Message":
        steers = self.when_busy == "steer"
        if steers and self.expected_task_id is None:
            said = "when_busy 'steer' needs 'expected_task_id', the task to steer"
            raise PydanticCustomError("expected_task_id", said)
        if not steers and self.expected_task_id is not None:
            said = "'expected_task_id' goes with when_busy 'steer' only"
            raise PydanticCustomError("expected_task_id", said)
        if steers and self.approve:
            said = "'approve' goes with a turn, which when_busy 'steer' does not begin"
            raise PydanticCustomError("approve", said)
        return self


class Accepted(Wire):
    """The answer to a message: the turn that it began or steers, its task, and the task that was
    interrupted for it.
    """

    turn: TurnNumber
    task_id: InvocationId
    interrupted: InvocationId | None = None


class Stopped(Wire):
    """The answer to `stop`: the task that was interrupted, if one was at work."""

    interrupted: InvocationId | None


class Turn(Wire):
    """One turn: what was asked, which task works on it, and what came of it.

    Attributes:
        approval: the number of its plan, while that waits for a yes.
    """

    turn: TurnNumber
    content: str
    status: Literal["running", "completed", "interrupted", "failed", "killed"] = "running"
    task_id: InvocationId
    plan: str | None = None
    answer: str | None = None
    error: str | None = None
    approval: TurnNumber | None = Field(default=None, exclude_if=lambda number: number is None)


class Waiting(Wire):
    """Why a task makes no progress: paused until somebody resumes it, trying again by itself, at
    `until` (UTC, ISO 8601) where that is known, or asking for the user's `approval`.
    """

    state: Literal["paused", "backing-off", "approval"]
    reason: str
    until: str | None = None


class Status(Wire):
    """The answer to `get_status`: the turn at work, or the newest where none is.

    `turn` is 0 in a session that has had no message.
    """

    turn: int
    status: Literal["idle", "working"]
    task_id: InvocationId | None
    waiting: Waiting | None = Field(default=None, exclude_if=lambda waiting: waiting is None)


class ChatMessage(Wire):
    """A message as a chat model takes it."""

    role: Literal["system", "user", "assistant"]
    content: str


class HistoryEntry(Wire):
    """One entry of `get_history`: a chat message and the turn that it belongs to."""

    role: Literal["user", "assistant"]
    content: str
    turn: TurnNumber


class TurnRef(Wire):
    """A turn and its task, for who asks whether it is over."""

    turn: TurnNumber
    task_id: InvocationId


class Approval(Wire):
    """A yes or no to the plan of a turn. Who has read a plan names it by its number (`approval` of
    the turn), so that the yes is for no other, made with what was said since.
    """

    turn: TurnNumber
    task_id: InvocationId | None = None
    plan: TurnNumber | None = None
    yes: bool


class Approved(TurnRef):
    """The answer to `approve`: the plan that it was for."""

    plan: TurnNumber


class Ask(TurnRef):
    """A task's plan, which waits for a yes.

    Attributes:
        steered: how many messages the task has taken by then.
        late: it has waited for too long.
    """

    plan: str
    steered: int
    late: bool = False


class Brief(Wire):
    """The conversation that a session gives to a task when it begins; the request comes last.

    Attributes:
        hasty: the turn before was interrupted before it had anything to show.
    """

    conversation: list[ChatMessage] = Field(min_length=1)
    hasty: bool = False


class Task(Wire):
    """The input of `run_task`: its brief, or the turns that it has to wait for first.

    Attributes:
        epoch: tells the session from what it was before an operator cleared it.
    """

    session: str
    turn: TurnNumber
    epoch: str | None = None
    brief: Brief | None = None
    behind: list[TurnRef] = []
    approve: bool = False

    @model_validator(mode="after")
    def _check_beginning(self) -> "Task":
        if self.brief is None and not self.behind:
            raise PydanticCustomError("brief", "'brief' is missing, and nothing is ahead")
        return self


class Result(Wire):
    """The output of `run_task`; `steered` counts the messages that it has taken meanwhile."""

    plan: str | None
    answer: str
    steered: int = 0
