async def my_watch(ctx: Context, session: str, task: str, finished) -> None:
    ...  # your code: wait until the task is over, whatever comes
    ctx.object_send(finished, key=session, arg=task)
