async def my_guard(run, tool) -> str:
    told = []

    async def listening(*arguments):
        try:
            return await tool(*arguments)
        except TerminalError as error:
            told.append(error)
            raise

    answer = await run(listening)
    if told:
        raise told[0]
    return answer
