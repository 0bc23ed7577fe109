async def my_publish(ctx: Context, site: str, write) -> str:
    call = ctx.service_call(write, site)
    await wait_completed(call)  # raises for my own cancellation only
    try:
        return await call
    except TerminalError:
        return "an empty page"
