# ✗ The task was interrupted, and its question is still in the inbox.
async def my_mail(ctx: Context, to: str, put, withdraw, send) -> None:
    question_id, answer = ctx.awakeable(type_hint=bool)
    ctx.object_send(put, key=to, arg=question_id)
    yes = await answer
    ctx.object_send(withdraw, key=to, arg=question_id)
    if yes:
        await send(to)
