async def my_guard(run, tool) -> str:
    return await run(tool)  # your code: what if the tool was cancelled?
