"""`UsageMeter`: the tokens that a session has spent, those of interrupted calls included."""

from typing import Annotated

from pydantic import Field
from restate import ObjectContext, ObjectSharedContext, VirtualObject

from agent.contracts import TurnNumber, Wire, checked
from agent.durable import THEN_KILL

Tokens = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Usage(Wire):
    """The tokens of one model call; `finished` is false where it was interrupted."""

    turn: TurnNumber
    step: str
    prompt_tokens: Tokens
    completion_tokens: Tokens
    finished: bool


class UsageTotal(Wire):
    """The sums over all model calls of a session."""

    calls: int = 0
    interrupted_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


usage_meter = VirtualObject("UsageMeter", invocation_retry_policy=THEN_KILL)


@usage_meter.handler(invocation_context_managers=checked(Usage))
async def record(ctx: ObjectContext, usage: Usage) -> None:
    """Add one model call. Told one-way: the tokens are spent, whatever becomes of the task."""
    total = await ctx.get("total", type_hint=UsageTotal) or UsageTotal()
    total.calls += 1
    total.interrupted_calls += not usage.finished
    total.prompt_tokens += usage.prompt_tokens
    total.completion_tokens += usage.completion_tokens
    ctx.set("total", total)


@usage_meter.handler(kind="shared")
async def get_usage(ctx: ObjectSharedContext) -> UsageTotal:
    """The sums over all calls that have been told so far."""
    return await ctx.get("total", type_hint=UsageTotal) or UsageTotal()
