# ✗ The task's error holds no partial text.
async def my_write(ctx: Context, topic: str, ask) -> str:
    stop = asyncio.Event()
    essay = ctx.run_typed("essay", ask, prompt=f"{topic} essay", stop=stop)
    try:
        return await essay
    except TerminalError:
        stop.set()
        partial = await essay  # the cancel has ended this future for good
        raise TerminalError("cancelled", 409, metadata={"partial": partial}) from None
