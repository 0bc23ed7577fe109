# ✗ Cancelled inside no wraps, and nothing is undone.
async def my_turn(ctx: Context, run, undo) -> str:
    return await run()
