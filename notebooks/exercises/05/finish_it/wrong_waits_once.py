# ✗ A cleanup was cut short.
async def my_finish(future):
    return await future
