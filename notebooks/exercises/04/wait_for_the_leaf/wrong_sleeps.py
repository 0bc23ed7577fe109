# ✗ The middle level waits for a time, not for the end of the leaf.
async def my_middle(ctx: Context, job: str, leaf, undo) -> str:
    call = ctx.service_call(leaf, job)
    try:
        await wait_completed(call)
        return await call
    except TerminalError:
        await ctx.sleep(timedelta(seconds=20))
        await ctx.run_typed("undo", undo)
        raise
