from restate import TerminalError


async def my_booking(ctx: Context, guests: int, book) -> str:
    if guests < 1:
        raise TerminalError("a table needs a guest", status_code=400)
    return await ctx.run_typed("book", book, guests=guests)
