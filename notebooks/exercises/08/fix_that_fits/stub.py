async def my_ship(ctx: Context, name: str, build, scan) -> str: ...  # your code
