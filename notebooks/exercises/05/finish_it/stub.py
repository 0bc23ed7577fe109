async def my_finish(future):
    await wait_completed(future)  # your code: wait again when this raises a TerminalError
    return await future
