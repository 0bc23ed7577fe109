# ✗ Your code raises an error: TypeError('Object of type coroutine is not JSON serializable')
async def my_ship(ctx: Context, name: str, build, scan) -> str:
    built = await ctx.run_typed("build", build, name=name)
    scanned = await ctx.run("scan", lambda: scan(name))
    return f"{built}, {scanned}, announced"
