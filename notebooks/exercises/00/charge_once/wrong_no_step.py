# ✗ The charge is no step: the journal does not know of it.
async def my_pay(ctx: Context, amount: int, charge) -> str:
    key = ctx.request().id
    return await charge(amount=amount, key=key)
