# ✗ `finish` goes round in circles.
async def my_finish(future):
    while True:
        try:
            return await future  # a cancel ends this future for good
        except TerminalError:
            pass
