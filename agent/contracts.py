"""The JSON that the services take and give, as pydantic models. All else is refused."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

__all__ = [
    "Accepted",
    "Brief",
    "ChatMessage",
    "FileRequest",
    "History",
    "HistoryEntry",
    "Message",
    "NextStep",
    "Plan",
    "PlannedFile",
    "StartTask",
    "Status",
    "Steering",
    "StopResult",
    "Task",
    "TaskReport",
    "TaskResult",
    "TaskStatus",
    "Turn",
    "TurnNumber",
    "TurnRef",
    "Turns",
    "Usage",
    "UsageTotal",
    "Watch",
    "WhenBusy",
    "WriteFile",
]

# Numbers have an upper end: Python takes integers of thousands of digits from JSON, but a header
# that names a turn does not, and a sum of two of them cannot be read back.
TurnNumber = Annotated[int, Field(ge=1, le=2**31 - 1)]
Tokens = Annotated[int, Field(ge=0, le=2**31 - 1)]
InvocationId = Annotated[str, StringConstraints(pattern=r"^inv_[0-9A-Za-z]{1,64}$")]
# A path inside the workspace: relative, and without a step upwards.
FilePath = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)*(/[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)*)*$"
    ),
]
TaskStatus = Literal["completed", "interrupted", "failed", "killed"]
WhenBusy = Literal["interrupt", "rollback", "enqueue", "reject", "steer"]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


# CodingAgent


class Message(_Wire):
    """What a person says, and what is to become of the turns that are open.

    Attributes:
        when_busy: what happens if a turn is open.
            "interrupt": every open turn is interrupted, then this one begins; what they had planned
            stays in the conversation.
            "rollback": the same, but the model is not shown the interrupted turns any more.
            "enqueue": this turn begins when those that are open are over.
            "reject": 409, which names the task at work; nothing is changed.
            "steer": no new turn; the task named by `expected_task_id` takes the message at its next
            step boundary, which is after its plan, its files or its review, and plans again. 409 if
            that task is over or past its last boundary. If it ends before it gets there, the
            message stays in the conversation for the next turn.
        expected_task_id: the task to steer.
    """

    # Restate gives the schema out (GET /services/CodingAgent/openapi): what is checked below is
    # said in there too.
    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"when_busy": {"const": "steer"}}, "required": ["when_busy"]},
            "then": {
                "properties": {"expected_task_id": {"type": "string"}},
                "required": ["expected_task_id"],
            },
            "else": {"properties": {"expected_task_id": {"type": "null"}}},
        }
    )

    content: str = Field(min_length=1, max_length=32_000)
    when_busy: WhenBusy = "interrupt"
    expected_task_id: InvocationId | None = None

    @model_validator(mode="after")
    def _check_expected_task_id(self) -> "Message":
        if (self.when_busy == "steer") != (self.expected_task_id is not None):
            missing = (
                "when_busy 'steer' needs 'expected_task_id', the task to steer"
                if self.when_busy == "steer"
                else "'expected_task_id' goes with when_busy 'steer' only"
            )
            raise PydanticCustomError("expected_task_id", missing)
        return self


class Accepted(_Wire):
    """The answer to a message: the turn that it began or steers, its task, and the task that was
    interrupted for it.
    """

    turn: TurnNumber
    task_id: InvocationId
    interrupted: InvocationId | None


class StopResult(_Wire):
    """The answer to `stop`: the task that was interrupted, if one was running."""

    interrupted: InvocationId | None


class Turn(_Wire):
    """One turn of a session: what was asked, which task worked on it, and what came of it."""

    turn: TurnNumber
    content: str
    status: Literal["running"] | TaskStatus
    task_id: InvocationId
    plan: str | None = None
    answer: str | None = None
    error: str | None = None


class HistoryEntry(_Wire):
    """One entry of `get_history`: a chat message and the turn that it belongs to."""

    role: Literal["user", "assistant"]
    content: str
    turn: TurnNumber


class Turns(RootModel[list[Turn]]):
    """The answer to `get_turns`, oldest first."""


class History(RootModel[list[HistoryEntry]]):
    """The answer to `get_history`, oldest first: fit to hand to a chat model."""


class Status(_Wire):
    """The answer to `get_status`: the turn at work, or the newest where none is.

    `turn` is 0 in a session that has had no message.
    """

    turn: int
    status: Literal["idle", "working"]
    task_id: InvocationId | None


class TaskReport(_Wire):
    """What became of a task, as the task or its watcher tells `CodingAgent.task_finished`."""

    turn: TurnNumber
    task_id: InvocationId
    status: TaskStatus
    plan: str | None = None
    answer: str | None = None
    error: str | None = None


class NextStep(_Wire):
    """What a task says when it asks how to go on; `last`: no model call is to follow."""

    turn: TurnNumber
    task_id: InvocationId
    last: bool = False


class Steering(RootModel[list[str]]):
    """The answer to `next_step`: what was said to the task meanwhile, oldest first."""


# CodingTask


class ChatMessage(_Wire):
    """A message as a chat model takes it."""

    role: Literal["system", "user", "assistant"]
    content: str


class Task(_Wire):
    """The input of `run_task`: whose turn it works on, and the tasks that must be over first."""

    session: str
    turn: TurnNumber
    waits_for: list[InvocationId] = []


class StartTask(_Wire):
    """The input of `start_task`: the task, and the message that asks for it."""

    task: Task
    message_id: InvocationId


class Brief(_Wire):
    """What a task works on: the conversation, up to and with what this turn asks for, and that
    alone.
    """

    conversation: list[ChatMessage]
    request: str


class PlannedFile(_Wire):
    """A file that the plan asks for."""

    path: FilePath
    purpose: str


class Plan(_Wire):
    """The model's plan. Other fields that a model adds are ignored, since models do."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    summary: str
    files: list[PlannedFile] = Field(min_length=1, max_length=8)

    def __str__(self) -> str:
        return "\n".join([self.summary, *(f"- {file.path}: {file.purpose}" for file in self.files)])


class FileRequest(_Wire):
    """The input of `CodingTask.write_file`: one file of a plan."""

    session: str
    turn: TurnNumber
    request: str
    plan: str
    path: FilePath


class TaskResult(_Wire):
    """The output of `run_task`."""

    plan: str
    answer: str


class Watch(_Wire):
    """The input of `watch`: whose end to report."""

    session: str
    turn: TurnNumber
    task_id: InvocationId


# Workspace and UsageMeter


class TurnRef(_Wire):
    """A turn of the session."""

    turn: TurnNumber


class WriteFile(_Wire):
    """A file for the draft of a turn."""

    turn: TurnNumber
    path: FilePath
    content: str


class Usage(_Wire):
    """The tokens of one model call; `finished` is false where it was interrupted."""

    turn: TurnNumber
    step: str
    prompt_tokens: Tokens
    completion_tokens: Tokens
    finished: bool


class UsageTotal(_Wire):
    """The answer to `get_usage`: the sums over all model calls of a session."""

    calls: int = 0
    interrupted_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
