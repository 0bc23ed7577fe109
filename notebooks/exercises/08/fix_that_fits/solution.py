async def my_ship(ctx: Context, name: str, build, scan) -> str:
    built = await ctx.run_typed("build", build, name=name)
    scanned = await ctx.run_typed("scan", scan, name=name)
    return f"{built}, {scanned}, announced"
