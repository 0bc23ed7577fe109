# ✗ `finish` does not return the result of what it waits for.
async def my_finish(future):
    while True:
        try:
            await wait_completed(future)
            break
        except TerminalError:
            pass
