async def my_finished(ctx: ObjectContext, task_id: str) -> None:
    pass  # your code: two lines
