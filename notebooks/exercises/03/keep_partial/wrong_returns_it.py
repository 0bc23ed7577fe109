# ✗ The cancelled task ended as a success.
async def my_write(ctx: Context, topic: str, ask) -> str:
    stop = asyncio.Event()
    essay = ctx.run_typed("essay", ask, prompt=f"{topic} essay", stop=stop)
    try:
        await wait_completed(essay)
    except TerminalError:
        stop.set()
    return await essay
