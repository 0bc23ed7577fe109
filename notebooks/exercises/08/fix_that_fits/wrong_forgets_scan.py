# ✗ The release was announced, and never scanned.
async def my_ship(ctx: Context, name: str, build, scan) -> str:
    built = await ctx.run_typed("build", build, name=name)
    return f"{built}, announced"
