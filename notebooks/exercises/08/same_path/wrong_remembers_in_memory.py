# ✗ RT0016: the second attempt took another path than the first.
PARTS = {}


async def my_greeting(ctx: Context, name: str, hour, ask) -> str:
    part = PARTS.setdefault(name, "morning" if hour() < 12 else "afternoon")
    text = await ctx.run_typed(f"good {part}", ask, prompt=f"{name} {part}")
    return await ctx.run_typed("send", ask, prompt=f"{name} send: {text}")
