async def my_rollback(ctx: ObjectContext, turn: int) -> None:
    ctx.clear("draft")  # whose draft is it?
