async def my_ask(ctx: Context, to: str, tell) -> bool:
    question_id, answer = ctx.awakeable(type_hint=bool)
    await tell(to, question_id)
    return await answer
