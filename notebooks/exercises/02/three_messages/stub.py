async def my_finished(ctx: ObjectContext, task_id: str) -> None: ...  # your code: two lines
