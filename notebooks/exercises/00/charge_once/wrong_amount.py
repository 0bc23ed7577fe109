# ✗ Two orders were paid with one charge.
async def my_pay(ctx: Context, amount: int, charge) -> str:
    key = f"charge of {amount}"  # the same for two orders of one amount
    return await ctx.run_typed("charge the card", charge, amount=amount, key=key)
