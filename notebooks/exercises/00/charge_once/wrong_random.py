# ✗ The card was charged twice.
async def my_pay(ctx: Context, amount: int, charge) -> str:
    key = str(__import__("uuid").uuid4())  # another one in each attempt
    return await ctx.run_typed("charge the card", charge, amount=amount, key=key)
