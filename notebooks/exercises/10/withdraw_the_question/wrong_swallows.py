# ✗ The task was interrupted, and its record says success.
async def my_mail(ctx: Context, to: str, put, withdraw, send) -> None:
    question_id, answer = ctx.awakeable(type_hint=bool)
    ctx.object_send(put, key=to, arg=question_id)
    try:
        yes = await answer
    except TerminalError:
        ctx.object_send(withdraw, key=to, arg=question_id)
        yes = False
    if yes:
        await send(to)
