# ✗ Nobody cancelled it, and it ended so: [409] cancelled.
async def my_guard(run, tool) -> str:
    await run(tool)
    raise TerminalError("cancelled", 409)
