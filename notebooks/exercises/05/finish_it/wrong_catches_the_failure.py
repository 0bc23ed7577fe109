# ✗ `finish` goes round in circles.
async def my_finish(future):
    while True:
        try:
            await wait_completed(future)
            return await future  # raises if the step has failed
        except TerminalError:
            pass
