# ✗ Your code raises an error: AttributeError("'function' object has no attribute 'id'")
async def my_pay(ctx: Context, amount: int, charge) -> str:
    key = ctx.request.id
    return await ctx.run_typed("charge the card", charge, amount=amount, key=key)
