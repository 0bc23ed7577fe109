# ✗ The card was charged twice.
KEYS = {}


async def my_pay(ctx: Context, amount: int, charge) -> str:
    key = KEYS.setdefault(ctx.request().id, str(uuid.uuid4()))
    return await ctx.run_typed("charge the card", charge, amount=amount, key=key)
