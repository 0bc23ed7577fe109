async def my_finished(ctx: ObjectContext, task_id: str) -> None:
    if await ctx.get("current", type_hint=str) == task_id:
        ctx.clear("current")
