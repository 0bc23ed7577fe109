async def my_ask(ctx: Context, to: str, tell) -> bool:
    question_id, answer = ctx.awakeable(type_hint=bool)
    await ctx.run_typed("tell", tell, to=to, question_id=question_id)
    return await answer
