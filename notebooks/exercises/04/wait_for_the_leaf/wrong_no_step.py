# ✗ The undo is no step: the journal does not know of it.
async def my_middle(ctx: Context, job: str, leaf, undo) -> str:
    call = ctx.service_call(leaf, job)
    try:
        await wait_completed(call)
        return await call
    except TerminalError:
        await wait_completed(call)
        await undo()
        raise
