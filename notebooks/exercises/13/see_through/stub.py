async def my_turn(ctx: Context, run, undo) -> str:
    try:
        return await run()
    except TerminalError:
        await ctx.run_typed("undo", undo)
        raise
