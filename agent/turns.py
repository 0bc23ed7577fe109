"""The turns of a session, as `CodingAgent` keeps them, and as a chat."""

from pydantic import BaseModel, Field
from restate import RestateDurableFuture, TerminalError

from agent.contracts import Brief, ChatMessage, HistoryEntry, Result, Turn, TurnRef
from agent.settings import settings


class TurnRecord(Turn):
    """A turn, with what only the session needs to know of it.

    Attributes:
        begun: its task has been given the conversation.
        approve: its plans wait for a yes.
        decided: the session has told the task what became of the plan that it has made last.
        steering: what was said to the task while it was at work, oldest first.
        steered: how many of these it has taken.
        hidden: the model is not to see it any more.
    """

    begun: bool = False
    approve: bool = False
    decided: bool = False
    steering: list[str] = Field(default_factory=list)
    steered: int = 0
    hidden: bool = False

    @property
    def ref(self) -> TurnRef:
        return TurnRef(turn=self.turn, task_id=self.task_id)

    @property
    def cut_off(self) -> bool:
        return self.status in ("interrupted", "killed")

    def chat(self) -> list[HistoryEntry]:
        """The turn as a message of the user and an answer, if there is one. Work that was cut off
        is marked, so that the model neither trusts it nor takes it for done.
        """
        if self.hidden:
            return []
        said = "\n\n".join([self.content, *self.steering])
        entries = [HistoryEntry(role="user", content=said, turn=self.turn)]
        answer = self._answer()
        if answer is not None:
            entries.append(HistoryEntry(role="assistant", content=answer, turn=self.turn))
        return entries

    def _answer(self) -> str | None:
        how_far = f"The plan so far:]\n{self.plan}" if self.plan else "It was not planned.]"
        return {
            "running": None,
            "completed": self.answer,
            "interrupted": f"[Interrupted before it was done; no file was kept. {how_far}",
            "failed": f"[Failed; no file was kept: {self.error}]",
            "killed": "[Killed before it could say what it had done; look before you rely on it.]",
        }[self.status]


class Session(BaseModel):
    """The state that each message reads and writes; a turn that is over has a key of its own.

    Attributes:
        epoch: names the session from its first turn on, until an operator clears it.
        newest: the number of the newest turn.
        open: the turns that are not over, oldest first.
        recent: the conversation before them, as much as the model is given.
    """

    epoch: str | None = None
    newest: int = 0
    open: list[TurnRecord] = []
    recent: list[HistoryEntry] = []

    def close(self, turn: TurnRecord) -> None:
        """Move a turn that is over from `open` to `recent`."""
        self.open = [other for other in self.open if other.turn != turn.turn]
        entries = sorted([*self.recent, *turn.chat()], key=lambda entry: entry.turn)
        self.recent = _within_budget(entries)

    def brief(self, turn: int, request: str, *, hasty: bool = False) -> Brief:
        """The brief of a turn's task, when it begins."""
        entries = [*self.recent, HistoryEntry(role="user", content=request, turn=turn)]
        conversation = [
            ChatMessage(role=entry.role, content=entry.content) for entry in _within_budget(entries)
        ]
        return Brief(conversation=conversation, hasty=hasty)


def as_history(turns: list[TurnRecord]) -> list[HistoryEntry]:
    """The turns as one chat, in which user and assistant alternate."""
    entries: list[HistoryEntry] = []
    for turn in turns:
        if entries and entries[-1].role == "user" and not turn.hidden:
            unanswered = entries[-1].turn
            entries.append(
                HistoryEntry(role="assistant", content="[Not answered yet.]", turn=unanswered)
            )
        entries += turn.chat()
    return entries


async def as_it_ended(turn: TurnRecord, task: RestateDurableFuture[Result]) -> TurnRecord:
    """A turn whose task is over, with what became of it: the task's result or error tells."""
    turn = turn.model_copy(update={"approval": None})
    try:
        result = await task
        done = {**result.model_dump(), "steered": turn.steered + result.steered}
        return turn.model_copy(update={"status": "completed", **done})
    except TerminalError as error:
        metadata = error.metadata or {}
        end: dict[str, object] = {"status": "failed", "error": error.message}
        # "canceled" is one that never started; of one that is not known (404) nothing more is.
        if error.status_code == 409 and error.message in ("cancelled", "canceled"):
            end = {"status": "interrupted"}
        elif error.status_code in (404, 409):
            end = {"status": "killed", "error": "The task was killed."}
        steered = turn.steered + int(metadata.get("steered", 0))
        told = {"plan": metadata.get("plan"), "steered": steered}
        return turn.model_copy(update={**end, **told})


def _within_budget(entries: list[HistoryEntry]) -> list[HistoryEntry]:
    """The newest turns that fit into `AGENT_CONTEXT_TOKENS`, at three bytes a token; the last one
    in any case.
    """
    room = settings().context_tokens
    for entry in reversed(entries):
        room -= len(entry.content.encode()) // 3 + 1
        if room < 0 and entry.turn != entries[-1].turn:
            return [other for other in entries if other.turn > entry.turn]
    return entries
