# ✗ The essay went on after the cancel.
async def my_write(ctx: Context, topic: str, ask) -> str:
    essay = ctx.run_typed("essay", ask, prompt=f"{topic} essay")
    try:
        await wait_completed(essay)
    except TerminalError:
        partial = await essay  # nobody has told it to stop
        raise TerminalError("cancelled", 409, metadata={"partial": partial}) from None
    return await essay
