# ✗ The tool was cancelled, and the turn ended as a success.
async def my_guard(run, tool) -> str:
    try:
        return await run(tool)
    except TerminalError as error:
        raise TerminalError("cancelled", 409) from error
