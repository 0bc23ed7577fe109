# ✗ A booking for no guests is paused: an operator has to look at it.
async def my_booking(ctx: Context, guests: int, book) -> str:
    assert guests > 0, "a table needs a guest"
    return await ctx.run_typed("book", book, guests=guests)
