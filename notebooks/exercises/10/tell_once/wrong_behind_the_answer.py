# ✗ The boss was not told.
async def my_ask(ctx: Context, to: str, tell) -> bool:
    question_id, answer = ctx.awakeable(type_hint=bool)
    yes = await answer
    await ctx.run_typed("tell", tell, to=to, question_id=question_id)
    return yes
