async def my_pay(ctx: Context, amount: int, charge) -> str:
    key = ...  # your code: the shop counts one charge for each key
    return await ctx.run_typed("charge the card", charge, amount=amount, key=key)
