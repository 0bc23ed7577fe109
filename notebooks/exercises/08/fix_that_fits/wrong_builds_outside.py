# ✗ RT0016: your code takes another path than the journal.
async def my_ship(ctx: Context, name: str, build, scan) -> str:
    built = await build(name)
    scanned = await ctx.run_typed("scan", scan, name=name)
    return f"{built}, {scanned}, announced"
