# ✗ A cleanup was cut short.
async def my_finish(future):
    try:
        await wait_completed(future)
    except TerminalError:
        await wait_completed(future)
    return await future
