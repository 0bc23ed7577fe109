"""The turns of a session, as `CodingAgent` keeps them in its state.

Each turn has a key of its own, `turn:7`, beside the number of the newest and the numbers of the
turns that are open, which means accepted and not over. A message therefore writes the same few
bytes in a long session as in a short one, and a late report about turn 6 can touch turn 6 only.
"""

from pydantic import Field
from restate import ObjectContext, ObjectSharedContext

from agent.contracts import TaskReport, Turn

__all__ = [
    "TurnRecord",
    "add_turn",
    "close_turn",
    "newest_turn",
    "open_turns",
    "save_turn",
    "turn_record",
    "turn_records",
]


class TurnRecord(Turn):
    """A turn, with what only the session needs to know of it.

    Attributes:
        rolled_back: the model is not to see it any more.
        steering: what was said to the task while it was at work, oldest first.
        handed_over: how many of these the task has taken.
        closing: the task is past its last step boundary, and takes no more.
    """

    rolled_back: bool = False
    steering: list[str] = Field(default_factory=list)
    handed_over: int = 0
    closing: bool = False


async def newest_turn(ctx: ObjectContext | ObjectSharedContext) -> int:
    """The number of the newest turn; 0 where there is none."""
    return await ctx.get("newest_turn", type_hint=int) or 0


async def turn_record(ctx: ObjectContext | ObjectSharedContext, number: int) -> TurnRecord | None:
    """A turn, if there is one with this number."""
    return await ctx.get(f"turn:{number}", type_hint=TurnRecord)


async def turn_records(
    ctx: ObjectContext | ObjectSharedContext, numbers: range | list[int]
) -> list[TurnRecord]:
    """The turns with these numbers, fetched side by side."""
    fetched = [ctx.get(f"turn:{number}", type_hint=TurnRecord) for number in numbers]
    turns = [await turn for turn in fetched]
    return [turn for turn in turns if turn]


async def open_turns(ctx: ObjectContext | ObjectSharedContext) -> list[TurnRecord]:
    """The turns that are not over, oldest first: one is at work, the others wait for it."""
    turns = await turn_records(ctx, await _open_numbers(ctx))
    return [turn for turn in turns if turn.status == "running"]


def add_turn(ctx: ObjectContext, turn: TurnRecord, *, after: list[TurnRecord]) -> None:
    """Put a new turn on record, behind those that are open.

    A kill may come between two writes, so the turn is there before anything points to it, and can
    be interrupted before it counts.
    """
    save_turn(ctx, turn)
    ctx.set("open_turns", [*(other.turn for other in after), turn.turn])
    ctx.set("newest_turn", turn.turn)


async def close_turn(
    ctx: ObjectContext, turn: TurnRecord, outcome: TaskReport, *, rolled_back: bool = False
) -> None:
    """Note what became of an open turn."""
    numbers = await _open_numbers(ctx)
    end = outcome.model_dump(include={"status", "plan", "answer", "error"})
    save_turn(ctx, turn.model_copy(update={**end, "rolled_back": rolled_back}))
    ctx.set("open_turns", [number for number in numbers if number != turn.turn])


def save_turn(ctx: ObjectContext, turn: TurnRecord) -> None:
    """Write a turn."""
    ctx.set(f"turn:{turn.turn}", turn)


async def _open_numbers(ctx: ObjectContext | ObjectSharedContext) -> list[int]:
    return await ctx.get("open_turns", type_hint=list[int]) or []
