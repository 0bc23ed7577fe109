# ✗ A booking for no guests counts as a success.
async def my_booking(ctx: Context, guests: int, book) -> str:
    if guests < 1:
        return "sorry, a table needs a guest"
    return await ctx.run_typed("book", book, guests=guests)
