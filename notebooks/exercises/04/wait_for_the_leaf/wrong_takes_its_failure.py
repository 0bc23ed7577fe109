# ✗ The tree is over, and the middle level has undone nothing.
async def my_middle(ctx: Context, job: str, leaf, undo) -> str:
    call = ctx.service_call(leaf, job)
    try:
        await wait_completed(call)
        return await call
    except TerminalError:
        await call  # raises how the leaf ended
        await ctx.run_typed("undo", undo)
        raise
