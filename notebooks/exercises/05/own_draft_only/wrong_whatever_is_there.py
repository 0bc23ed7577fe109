# ✗ The rollback of turn 1 has dropped the draft of turn 2.
async def my_rollback(ctx: ObjectContext, turn: int) -> None:
    if await ctx.get("draft", type_hint=dict):
        ctx.clear("draft")
