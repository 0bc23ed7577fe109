async def my_write(ctx: Context, topic: str, ask) -> str:
    stop = asyncio.Event()
    essay = ctx.run_typed("essay", ask, prompt=f"{topic} essay", stop=stop)
    try:
        await wait_completed(essay)
    except TerminalError:
        stop.set()
        raise  # your code: raise a 409 "cancelled" with metadata={"partial": …}
    return await essay
