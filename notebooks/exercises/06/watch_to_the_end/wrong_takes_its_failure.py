# ✗ The task was killed, and the session is busy for ever.
async def my_watch(ctx: Context, session: str, task: str, finished) -> None:
    await ctx.attach_invocation(task)  # raises how the task ended
    ctx.object_send(finished, key=session, arg=task)
