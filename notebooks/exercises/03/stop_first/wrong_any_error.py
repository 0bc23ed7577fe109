# ✗ The task was killed, and its code went on to clean up.
async def my_write(ctx: Context, topic: str, ask) -> str:
    stop = asyncio.Event()
    try:
        return await ctx.run_typed("essay", ask, prompt=f"{topic} essay", stop=stop)
    except Exception:
        stop.set()
        await ctx.run_typed("clean up", ask, prompt=f"{topic} cleanup")
        raise
