"""Turns as a chat: what `get_history` returns, and what the model is given of it."""

from agent.contracts import ChatMessage, HistoryEntry, Turn

__all__ = ["as_conversation", "as_history"]


def as_history(turns: list[Turn]) -> list[HistoryEntry]:
    """The chat messages of some turns, in order. A turn that is still running has no answer yet."""
    entries = []
    for turn in turns:
        entries.append(HistoryEntry(role="user", content=turn.content, turn=turn.turn))
        answer = _answer(turn)
        if answer is not None:
            entries.append(HistoryEntry(role="assistant", content=answer, turn=turn.turn))
    return entries


def as_conversation(turns: list[Turn], request: str) -> list[ChatMessage]:
    """The same for the model, with the new request at the end."""
    said = [ChatMessage(role=entry.role, content=entry.content) for entry in as_history(turns)]
    return [*said, ChatMessage(role="user", content=request)]


def _answer(turn: Turn) -> str | None:
    # Work that was cut off is marked, so that the model neither trusts it nor takes it for done.
    match turn.status:
        case "running":
            return None
        case "completed":
            return turn.answer
        case "interrupted" if turn.plan:
            return (
                f"[Interrupted before it was done; no file was kept. The plan so far:]\n{turn.plan}"
            )
        case "interrupted":
            return "[Interrupted before it was planned; no file was kept.]"
        case "failed":
            return f"[Failed; no file was kept: {turn.error}]"
        case "killed":
            return "[Killed by an operator; no file was kept.]"
