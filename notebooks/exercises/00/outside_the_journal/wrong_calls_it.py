# ✗ Your code raises an error: TypeError('<coroutine object ask> is not a callable object')
async def my_report(ctx: Context, topic: str, ask) -> str:
    outline = await ctx.run_typed("outline", ask(f"{topic} outline"))
    text = await ctx.run_typed("text", ask, prompt=f"{topic} text: {outline}")
    return await ctx.run_typed("check", ask, prompt=f"{topic} check: {text}")
