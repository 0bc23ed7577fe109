"""`UsageMeter`: the tokens that a session has spent, those of interrupted calls included."""

from restate import ObjectContext, ObjectSharedContext, VirtualObject

from agent.checked_input import checked
from agent.contracts import Usage, UsageTotal
from agent.retries import UNTIL_DONE

__all__ = ["get_usage", "record", "usage_meter"]

usage_meter = VirtualObject("UsageMeter", invocation_retry_policy=UNTIL_DONE)


@usage_meter.handler(invocation_context_managers=checked(Usage))
async def record(ctx: ObjectContext, usage: Usage) -> None:
    """Add one model call. Told one-way: the tokens are spent, also by a task that is cancelled."""
    total = await ctx.get("total", type_hint=UsageTotal) or UsageTotal()
    ctx.set(
        "total",
        UsageTotal(
            calls=total.calls + 1,
            interrupted_calls=total.interrupted_calls + (not usage.finished),
            prompt_tokens=total.prompt_tokens + usage.prompt_tokens,
            completion_tokens=total.completion_tokens + usage.completion_tokens,
        ),
    )


@usage_meter.handler(kind="shared")
async def get_usage(ctx: ObjectSharedContext) -> UsageTotal:
    """The sums over all calls that have been told so far."""
    return await ctx.get("total", type_hint=UsageTotal) or UsageTotal()
