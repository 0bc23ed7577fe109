# ✗ The task was interrupted, and the mail is out.
async def my_mail(ctx: Context, to: str, put, withdraw, send) -> None:
    question_id, answer = ctx.awakeable(type_hint=bool)
    ctx.object_send(put, key=to, arg=question_id)
    try:
        yes = await answer
    except TerminalError:
        ctx.object_send(withdraw, key=to, arg=question_id)
        yes = True
    if yes:
        await send(to)
