# ✗ An ordinary error was undone, though Restate was to try again.
async def my_turn(ctx: Context, run, undo) -> str:
    try:
        return await run()
    except Exception:
        await ctx.run_typed("undo", undo)
        raise
