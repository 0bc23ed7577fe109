# ✗ Your code raises an error: TypeError('Object of type coroutine is not JSON serializable')
async def my_report(ctx: Context, topic: str, ask) -> str:
    outline = await ctx.run("outline", lambda: ask(f"{topic} outline"))
    text = await ctx.run_typed("text", ask, prompt=f"{topic} text: {outline}")
    return await ctx.run_typed("check", ask, prompt=f"{topic} check: {text}")
