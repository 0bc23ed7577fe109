# ✗ The cleanup is no step: the journal does not know of it.
async def my_write(ctx: Context, topic: str, ask) -> str:
    stop = asyncio.Event()
    try:
        return await ctx.run_typed("essay", ask, prompt=f"{topic} essay", stop=stop)
    except TerminalError:
        stop.set()
        await ask(f"{topic} cleanup")
        raise
