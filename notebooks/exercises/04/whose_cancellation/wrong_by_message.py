# ✗ Somebody cancelled the page, and the site ended with [409] cancelled.
async def my_publish(ctx: Context, site: str, write) -> str:
    call = ctx.service_call(write, site)
    try:
        return await call
    except TerminalError as error:
        if error.message == "cancelled":  # so is the page's
            raise
        return "an empty page"
