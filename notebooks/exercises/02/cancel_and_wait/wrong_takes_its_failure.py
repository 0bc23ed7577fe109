# ✗ Message 2 failed with [409] cancelled.
async def my_message(ctx: ObjectContext, text: str, work) -> str:
    if current := await ctx.get("current", type_hint=str):
        ctx.cancel_invocation(current)
        await ctx.attach_invocation(current)  # raises what the task ended with
    sent = ctx.service_send(work, {"session": ctx.key(), "text": text})
    ctx.set("current", await sent.invocation_id())
    return await sent.invocation_id()
