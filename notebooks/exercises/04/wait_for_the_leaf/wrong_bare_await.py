# ✗ The middle level undoes its work while the leaf is still at work.
async def my_middle(ctx: Context, job: str, leaf, undo) -> str:
    call = ctx.service_call(leaf, job)
    try:
        return await call
    except TerminalError:
        await wait_completed(call)
        await ctx.run_typed("undo", undo)
        raise
