# ✗ The cancelled task did not clean up.
async def my_write(ctx: Context, topic: str, ask) -> str:
    stop = asyncio.Event()
    try:
        return await ctx.run_typed("essay", ask, prompt=f"{topic} essay", stop=stop)
    finally:
        stop.set()
