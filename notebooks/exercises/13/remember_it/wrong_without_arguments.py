# ✗ Nobody cancelled it, and the tool was not told what to do.
async def my_guard(run, tool) -> str:
    told = []

    async def listening(*arguments):
        try:
            return await tool("")
        except TerminalError as error:
            told.append(error)
            raise

    answer = await run(listening)
    if told:
        raise told[0]
    return answer
