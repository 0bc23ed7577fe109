# ✗ A watcher was killed, and its code goes on asking for ever.
async def my_watch(ctx: Context, session: str, task: str, finished) -> None:
    over = ctx.attach_invocation(task)
    while True:
        try:
            await wait_completed(over)
            break
        except Exception:
            continue
    ctx.object_send(finished, key=session, arg=task)
