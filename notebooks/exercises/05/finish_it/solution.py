async def my_finish(future):
    while True:
        try:
            await wait_completed(future)
            break
        except TerminalError:
            pass
    return await future
