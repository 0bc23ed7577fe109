# ✗ The partial text came from memory: the journal has no result of the essay.
async def my_write(ctx: Context, topic: str, ask) -> str:
    stop, tokens = asyncio.Event(), []
    essay = ctx.run_typed("essay", ask, prompt=f"{topic} essay", stop=stop, on_token=tokens.append)
    try:
        await wait_completed(essay)
    except TerminalError:
        stop.set()
        partial = "".join(tokens)
        raise TerminalError("cancelled", 409, metadata={"partial": partial}) from None
    return await essay
