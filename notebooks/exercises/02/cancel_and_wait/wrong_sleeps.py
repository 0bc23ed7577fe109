# ✗ Task 2 is at work while task 1 still cleans up.
async def my_message(ctx: ObjectContext, text: str, work) -> str:
    if current := await ctx.get("current", type_hint=str):
        ctx.cancel_invocation(current)
        await ctx.sleep(timedelta(seconds=1))  # by then it will be over
    sent = ctx.service_send(work, {"session": ctx.key(), "text": text})
    ctx.set("current", await sent.invocation_id())
    return await sent.invocation_id()
