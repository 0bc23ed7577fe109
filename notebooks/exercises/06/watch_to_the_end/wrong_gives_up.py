# ✗ The watcher was cancelled, and reported a task that is still at work.
async def my_watch(ctx: Context, session: str, task: str, finished) -> None:
    try:
        await ctx.attach_invocation(task)
    except TerminalError as error:  # it has ended, or so it seems
        print("it has ended:", error.message)
    ctx.object_send(finished, key=session, arg=task)
