# ✗ After the crash, these were asked for again: outline, text.
async def my_report(ctx: Context, topic: str, ask) -> str:
    async def everything() -> str:
        outline = await ask(f"{topic} outline")
        text = await ask(f"{topic} text: {outline}")
        return await ask(f"{topic} check: {text}")

    return await ctx.run_typed("everything", everything)
