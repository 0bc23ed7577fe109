# ✗ The outage of a minute failed a good booking for ever: [400] cannot book.
async def my_booking(ctx: Context, guests: int, book) -> str:
    try:
        if guests < 1:
            raise ValueError("a table needs a guest")
        return await ctx.run_typed("book", book, RunOptions(max_attempts=1), guests=guests)
    except Exception:
        raise TerminalError("cannot book", status_code=400) from None
