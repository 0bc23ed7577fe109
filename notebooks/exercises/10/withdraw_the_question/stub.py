async def my_mail(ctx: Context, to: str, put, withdraw, send) -> None:
    question_id, answer = ctx.awakeable(type_hint=bool)
    ctx.object_send(put, key=to, arg=question_id)
    yes = await answer  # your code: if this is interrupted, withdraw the question
    if yes:
        await send(to)
