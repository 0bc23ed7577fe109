# ✗ Two tasks of one session are at work.
async def my_finished(ctx: ObjectContext, task_id: str) -> None:
    ctx.clear("current")  # whatever it is by now
