# ✗ The boss has answered, and the task still waits.
async def my_ask(ctx: Context, to: str, tell) -> bool:
    _, answer = ctx.awakeable(type_hint=bool)
    await ctx.run_typed("tell", tell, to=to, question_id=str(ctx.uuid()))
    return await answer
