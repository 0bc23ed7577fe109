"""`Workspace`: a session's files. One turn at a time drafts; all of its files come through, or
none. The turn is a fence: what comes from one that is over, however late, is refused or does
nothing, also where an operator has restarted its task.
"""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field
from restate import ObjectContext, ObjectSharedContext, TerminalError, VirtualObject

from agent.contracts import TurnNumber, Wire, checked
from agent.durable import THEN_KILL


def _inside(path: str) -> str:
    parts = path.split("/")
    if path.startswith("/") or (len(path) > 1 and path[1] == ":"):
        raise ValueError("the path is not relative to the workspace")
    if "\\" in path or not path.isprintable():
        raise ValueError("the path has a character that no file name should have")
    if any(part.strip() in ("", ".", "..") or len(part.encode()) > 200 for part in parts):
        raise ValueError("the path has an empty, a too long, or a '.' or '..' part")
    return path


# A path inside the workspace: relative, with slashes, and without a step upwards.
FilePath = Annotated[str, Field(min_length=1, max_length=400), AfterValidator(_inside)]


class DraftOf(Wire):
    """Whose draft is meant. A session that an operator has cleared counts its turns from 1 again:
    by its `epoch` it is told from what it was before.
    """

    turn: TurnNumber
    epoch: str | None = None


class WriteFile(DraftOf):
    """A file for a draft."""

    path: FilePath
    content: str


class Commit(DraftOf):
    """The draft to commit, and which of its files; all if that is left out."""

    paths: list[FilePath] | None = None


class Draft(BaseModel):
    """The files that a turn has written and not yet committed, by path."""

    turn: int = 0
    files: dict[str, str] = Field(default_factory=dict)


class Fence(BaseModel):
    """Which turns may draft no more.

    Attributes:
        epochs: those of the session, in the order in which they were first heard of.
        over: in the last of these all turns up to this one are over.
        rolled_back: so are these, each before it could draft.
    """

    epochs: list[str] = Field(default_factory=list)
    over: int = 0
    rolled_back: list[int] = Field(default_factory=list)

    def shuts_out(self, ref: DraftOf) -> bool:
        """Whether this turn is over. The first of a new epoch leaves all others behind."""
        if ref.epoch and ref.epoch not in self.epochs:
            self.epochs, self.over, self.rolled_back = [*self.epochs, ref.epoch], 0, []
        is_past = ref.epoch is not None and ref.epoch != self.epochs[-1]
        return is_past or ref.turn <= self.over or ref.turn in self.rolled_back

    def close(self, turn: int) -> None:
        """All turns up to this one are over."""
        self.over = turn
        self.rolled_back = [other for other in self.rolled_back if other > turn]


workspace = VirtualObject("Workspace", state_preload=False, invocation_retry_policy=THEN_KILL)


@workspace.handler(name="write_file", invocation_context_managers=checked(WriteFile))
async def put_file(ctx: ObjectContext, file: WriteFile) -> None:
    """Put a file into the draft of a turn. The first opens it, in place of another's.

    Raises:
        TerminalError: 409; the turn is over.
    """
    fence, draft = await _fence_and_draft(ctx)
    if fence.shuts_out(file):
        raise TerminalError(f"Turn {file.turn} is over.", status_code=409)
    if draft.turn != file.turn:
        draft = Draft(turn=file.turn)
        fence.close(file.turn - 1)
    draft.files[file.path] = file.content
    ctx.set("draft", draft)
    ctx.set("fence", fence)


@workspace.handler(invocation_context_managers=checked(Commit))
async def commit(ctx: ObjectContext, request: Commit) -> None:
    """Make a turn's draft the session's files.

    Raises:
        TerminalError: 409; the turn has no draft, or has it no more.
    """
    fence, draft = await _fence_and_draft(ctx)
    files = await ctx.get("files", type_hint=dict[str, str]) or {}
    if fence.shuts_out(request) or draft.turn != request.turn:
        raise TerminalError(f"Turn {request.turn} has no draft.", status_code=409)
    paths = draft.files if request.paths is None else request.paths
    files |= {path: draft.files[path] for path in paths if path in draft.files}
    fence.close(request.turn)
    # One write for all of them: a kill may come between two.
    ctx.set("files", dict(sorted(files.items())))
    ctx.clear("draft")
    ctx.set("fence", fence)


@workspace.handler(invocation_context_managers=checked(DraftOf))
async def rollback(ctx: ObjectContext, request: DraftOf) -> None:
    """Drop a turn's draft, if it has one, and let it open none from now on. Idempotent."""
    fence, draft = await _fence_and_draft(ctx)
    if not fence.shuts_out(request):
        fence.rolled_back.append(request.turn)
        ctx.set("fence", fence)
        if draft.turn == request.turn:
            ctx.clear("draft")


@workspace.handler(kind="shared")
async def read_files(ctx: ObjectSharedContext) -> dict[str, str]:
    """The committed files: their contents by path."""
    return await ctx.get("files", type_hint=dict[str, str]) or {}


async def _fence_and_draft(ctx: ObjectContext) -> tuple[Fence, Draft]:
    fence, draft = ctx.get("fence", type_hint=Fence), ctx.get("draft", type_hint=Draft)
    return await fence or Fence(), await draft or Draft()
