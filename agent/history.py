"""Turns as a chat: what `get_history` returns, and what the model is given of it."""

from agent.contracts import ChatMessage, HistoryEntry
from agent.turns import TurnRecord

__all__ = ["as_conversation", "as_history"]


def as_history(turns: list[TurnRecord]) -> list[HistoryEntry]:
    """The chat messages of some turns, in order. A turn that is still open has no answer yet."""
    entries = []
    for turn in turns:
        if turn.rolled_back:
            continue
        for content in (turn.content, *turn.steering):
            entries.append(HistoryEntry(role="user", content=content, turn=turn.turn))
        answer = _answer(turn)
        if answer is not None:
            entries.append(HistoryEntry(role="assistant", content=answer, turn=turn.turn))
    return entries


def as_conversation(turns: list[TurnRecord], *, budget: int) -> list[ChatMessage]:
    """The same for the model: the last turn, and as many of those before it as `budget` allows.

    Args:
        turns: oldest first; the last is the one to work on.
        budget: tokens, as `_tokens` estimates them. The turns that do not fit are left out whole,
            oldest first; the last is always there.
    """
    kept: list[HistoryEntry] = []
    for turn in reversed(turns):
        entries = as_history([turn])
        if kept and sum(_tokens(entry.content) for entry in (*entries, *kept)) > budget:
            break
        kept = [*entries, *kept]
    return [ChatMessage(role=entry.role, content=entry.content) for entry in kept]


def _tokens(text: str) -> int:
    # Tokenizers make a token of about four bytes of English, and three of code. An estimate is
    # enough for a limit that only has to hold, and needs no vocabulary of any one provider.
    return len(text.encode()) // 3 + 1


def _answer(turn: TurnRecord) -> str | None:
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
            return "[Killed before it could say what it had done; look before you rely on it.]"
