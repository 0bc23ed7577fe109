async def my_turn(ctx: Context, run, undo) -> str:
    try:
        return await run()
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, TerminalError):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            raise
        await ctx.run_typed("undo", undo)
        raise cause from None
