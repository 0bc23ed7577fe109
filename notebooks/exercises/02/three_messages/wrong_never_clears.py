# ✗ All tasks have ended, and the session still names a current one.
async def my_finished(ctx: ObjectContext, task_id: str) -> None:
    await ctx.get("current", type_hint=str)
