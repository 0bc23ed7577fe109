# ✗ The boss got 3 texts with one question.
told = set()


async def my_ask(ctx: Context, to: str, tell) -> bool:
    question_id, answer = ctx.awakeable(type_hint=bool)
    if question_id not in told:
        told.add(question_id)
        await tell(to, question_id)
    return await answer
