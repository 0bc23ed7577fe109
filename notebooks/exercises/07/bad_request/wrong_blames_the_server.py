# ✗ A booking for no guests was answered with [500], as if it were our fault.
async def my_booking(ctx: Context, guests: int, book) -> str:
    if guests < 1:
        raise TerminalError("a table needs a guest")
    return await ctx.run_typed("book", book, guests=guests)
