# ✗ The booking is no step: the journal does not know of it.
async def my_booking(ctx: Context, guests: int, book) -> str:
    if guests < 1:
        raise TerminalError("a table needs a guest", status_code=400)
    return await book(guests)
