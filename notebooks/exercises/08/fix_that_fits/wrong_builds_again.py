# ✗ The release was built 2 times.
async def my_ship(ctx: Context, name: str, build, scan) -> str:
    await ctx.run_typed("build", build, name=name)
    scanned = await ctx.run_typed("scan", scan, name=name)
    built = await ctx.run_typed("build what was scanned", build, name=name)
    return f"{built}, {scanned}, announced"
