# ✗ Cancelled inside two wraps, and nothing is undone.
async def my_turn(ctx: Context, run, undo) -> str:
    try:
        return await run()
    except Exception as error:
        if isinstance(error, TerminalError) or isinstance(error.__cause__, TerminalError):
            await ctx.run_typed("undo", undo)
        raise
