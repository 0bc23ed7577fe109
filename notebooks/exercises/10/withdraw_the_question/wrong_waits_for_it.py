# ✗ The task was interrupted twice, and its question is still in the inbox.
async def my_mail(ctx: Context, to: str, put, withdraw, send) -> None:
    question_id, answer = ctx.awakeable(type_hint=bool)
    ctx.object_send(put, key=to, arg=question_id)
    try:
        yes = await answer
    except TerminalError:
        await ctx.object_call(withdraw, key=to, arg=question_id)
        raise
    if yes:
        await send(to)
