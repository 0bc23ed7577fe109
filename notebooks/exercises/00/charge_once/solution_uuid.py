async def my_pay(ctx: Context, amount: int, charge) -> str:
    key = ctx.uuid()
    return await ctx.run_typed("charge the card", charge, amount=amount, key=key)
