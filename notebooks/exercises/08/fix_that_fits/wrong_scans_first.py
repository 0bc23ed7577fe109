# ✗ RT0016: your code takes another path than the journal.
async def my_ship(ctx: Context, name: str, build, scan) -> str:
    scanned = await ctx.run_typed("scan", scan, name=name)
    built = await ctx.run_typed("build", build, name=name)
    return f"{scanned}, {built}, announced"
