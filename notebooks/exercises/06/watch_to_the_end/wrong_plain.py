# ✗ The watcher was cancelled, then the task was killed, and the session is busy for ever.
async def my_watch(ctx: Context, session: str, task: str, finished) -> None:
    await wait_completed(ctx.attach_invocation(task))
    ctx.object_send(finished, key=session, arg=task)
