"""The JSON that the services take and give, as pydantic models. All else is refused."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, StringConstraints

__all__ = [
    "Accepted",
    "ChatMessage",
    "FileRequest",
    "History",
    "HistoryEntry",
    "Message",
    "Plan",
    "PlannedFile",
    "Status",
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
    "WriteFile",
]

TurnNumber = Annotated[int, Field(ge=1)]
InvocationId = Annotated[str, StringConstraints(pattern=r"^inv_[0-9A-Za-z]+$")]
# A path inside the workspace: relative, and without a step upwards.
FilePath = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)*(/[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)*)*$"
    ),
]
TaskStatus = Literal["completed", "interrupted", "failed", "killed"]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


# CodingAgent


class Message(_Wire):
    """What a person says."""

    content: str = Field(min_length=1, max_length=32_000)


class Accepted(_Wire):
    """The answer to a message: the turn that it began, its task, and the one interrupted for it."""

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
    """The answer to `get_status`; `turn` is 0 in a session that has had no message."""

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


# CodingTask


class ChatMessage(_Wire):
    """A message as a chat model takes it."""

    role: Literal["system", "user", "assistant"]
    content: str


class Task(_Wire):
    """The input of `run_task`: the conversation so far; its last message is this turn's request."""

    session: str
    turn: TurnNumber
    conversation: list[ChatMessage] = Field(min_length=1)

    @property
    def request(self) -> str:
        return self.conversation[-1].content


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
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)
    finished: bool


class UsageTotal(_Wire):
    """The answer to `get_usage`: the sums over all model calls of a session."""

    calls: int = 0
    interrupted_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
