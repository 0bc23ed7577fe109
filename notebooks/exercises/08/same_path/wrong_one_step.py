# ✗ The greeting was written twice: good morning, good afternoon.
async def my_greeting(ctx: Context, name: str, hour, ask) -> str:
    async def greet() -> str:
        part = "morning" if hour() < 12 else "afternoon"
        text = await ask(f"{name} {part}")
        return await ask(f"{name} send: {text}")

    return await ctx.run_typed("greet", greet)
