# ✗ The site was cancelled, and published an empty page all the same.
async def my_publish(ctx: Context, site: str, write) -> str:
    call = ctx.service_call(write, site)
    try:
        return await call
    except TerminalError:
        return "an empty page"
