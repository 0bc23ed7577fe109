# ✗ A turn was rolled back, and its draft is still there.
async def my_rollback(ctx: ObjectContext, turn: int) -> None:
    page = await ctx.get("draft", type_hint=dict)
    if page and page["turn"] < turn:
        ctx.clear("draft")
