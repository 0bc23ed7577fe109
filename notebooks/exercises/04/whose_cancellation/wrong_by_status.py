# ✗ Somebody killed the page, and the site ended with [409] killed.
async def my_publish(ctx: Context, site: str, write) -> str:
    call = ctx.service_call(write, site)
    try:
        return await call
    except TerminalError as error:
        if error.status_code == 409:  # cancelled, it must be
            raise
        return "an empty page"
