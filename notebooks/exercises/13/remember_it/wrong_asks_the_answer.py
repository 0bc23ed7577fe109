# ✗ The tool was cancelled, and the turn ended as a success.
async def my_guard(run, tool) -> str:
    answer = await run(tool)
    if answer is None:
        raise TerminalError("cancelled", 409)
    return answer
