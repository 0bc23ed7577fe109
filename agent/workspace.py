"""`Workspace`: a session's files, which one turn at a time may change: all of its changes come
through, or none.

This is the resource that a task holds and must give back. A turn works on a draft of its own. The
turn is a fence: what a turn asks for when a later one has begun is refused or does nothing, however
late it arrives.
"""

from pydantic import BaseModel
from restate import ObjectContext, ObjectSharedContext, TerminalError, VirtualObject

from agent.checked_input import checked
from agent.contracts import TurnRef, WriteFile
from agent.retries import UNTIL_DONE

__all__ = ["begin", "commit", "read_files", "rollback", "workspace", "write_file"]

# State is fetched key by key, as asked for: only `commit` and `read_files` need the files.
workspace = VirtualObject("Workspace", state_preload=False, invocation_retry_policy=UNTIL_DONE)


class Draft(BaseModel):
    """The files that a turn has written and not yet committed, by path."""

    turn: int
    files: dict[str, str] = {}


@workspace.handler(invocation_context_managers=checked(TurnRef))
async def begin(ctx: ObjectContext, ref: TurnRef) -> None:
    """Open an empty draft for a turn, in place of its own or of one that nobody closed.

    Raises:
        TerminalError: 409; this turn is over, or a later one has begun.
    """
    newest = await ctx.get("newest_turn", type_hint=int) or 0
    if ref.turn == newest:
        await _draft_of(ctx, ref.turn)
    elif ref.turn < newest:
        raise TerminalError(f"Turn {ref.turn} cannot begin: turn {newest} has.", status_code=409)
    elif ref.turn in await _barred(ctx):
        raise TerminalError(f"Turn {ref.turn} was rolled back.", status_code=409)
    ctx.set("newest_turn", ref.turn)
    ctx.set("draft", Draft(turn=ref.turn))


@workspace.handler(name="write_file", invocation_context_managers=checked(WriteFile))
async def write_file(ctx: ObjectContext, file: WriteFile) -> None:
    """Put a file into the draft of a turn.

    Raises:
        TerminalError: 409; the turn has no draft, or has it no more.
    """
    draft = await _draft_of(ctx, file.turn)
    draft.files = _by_path({**draft.files, file.path: file.content})
    ctx.set("draft", draft)


@workspace.handler(invocation_context_managers=checked(TurnRef))
async def commit(ctx: ObjectContext, ref: TurnRef) -> None:
    """Make a turn's draft the session's files.

    Raises:
        TerminalError: 409; the turn has no draft, or has it no more.
    """
    draft = await _draft_of(ctx, ref.turn)
    files = await ctx.get("files", type_hint=dict[str, str]) or {}
    # One write for all of them: a kill may come between two.
    ctx.set("files", _by_path(files | draft.files))
    ctx.clear("draft")


@workspace.handler(invocation_context_managers=checked(TurnRef))
async def rollback(ctx: ObjectContext, ref: TurnRef) -> None:
    """Drop a turn's draft, if it has one, and let it open none from now on. Idempotent."""
    newest = await ctx.get("newest_turn", type_hint=int) or 0
    if ref.turn > newest:
        # A `begin` of this turn may still be on its way, and others' that come before it.
        barred = [turn for turn in await _barred(ctx) if turn > newest and turn != ref.turn]
        ctx.set("barred_turns", [*barred, ref.turn])
    draft = await ctx.get("draft", type_hint=Draft)
    if draft and draft.turn == ref.turn:
        ctx.clear("draft")


@workspace.handler(kind="shared")
async def read_files(ctx: ObjectSharedContext) -> dict[str, str]:
    """The committed files: their contents by path."""
    return await ctx.get("files", type_hint=dict[str, str]) or {}


async def _barred(ctx: ObjectContext) -> list[int]:
    """The turns that were rolled back before they began."""
    return await ctx.get("barred_turns", type_hint=list[int]) or []


async def _draft_of(ctx: ObjectContext, turn: int) -> Draft:
    draft = await ctx.get("draft", type_hint=Draft)
    if draft is None or draft.turn != turn:
        raise TerminalError(f"Turn {turn} has no draft.", status_code=409)
    return draft


def _by_path(files: dict[str, str]) -> dict[str, str]:
    """In an order that does not depend on which file was written first."""
    return dict(sorted(files.items()))
