"""A model call as a durable step: not begun once its task is cancelled, stopped at once, and
counted in any case.
"""

from collections.abc import Callable
from urllib.parse import quote

from restate import Context, TerminalError

from agent.cancellation import Cancelled, cancellation_point, result_of, settled
from agent.contracts import ChatMessage, Usage
from agent.model import Reply, Stop, stream_reply
from agent.usage_meter import record

__all__ = ["ask_model"]


async def ask_model(
    ctx: Context,
    step: str,
    messages: list[ChatMessage],
    *,
    session: str,
    turn: int,
    check: Callable[[str], object] | None = None,
) -> str:
    """The model's answer.

    Args:
        step: names the call in the journal, in the usage and at the provider.
        check: raises `ModelError` for an answer that should be asked for again.

    Raises:
        Cancelled: this invocation was cancelled; `metadata["partial"]` is what the model had said
            by then.
        TerminalError: the provider refuses the request.
    """
    stop = Stop()
    # For the provider's logs, which take 512 ASCII characters.
    request_id = f"{quote(session, safe='')[:300]}/{turn}/{quote(step, safe='')[:180]}"

    async def call() -> Reply:
        reply = await stream_reply(messages, request_id, stop)
        if check and reply.finished:
            check(reply.text)  # in here, so that an answer that is no use never reaches the journal
        return reply

    def count(reply: Reply) -> None:
        # One-way: the tokens are spent, whatever becomes of this task.
        usage = Usage(turn=turn, step=step, **reply.model_dump(exclude={"sent", "text"}))
        ctx.object_send(record, key=session, arg=usage)

    await cancellation_point(ctx)
    future = ctx.run_typed(step, call)
    try:
        reply = await result_of(future)
    except Cancelled:
        # A cancellation ends the wait and not the action, which would go on, tokens and all, for as
        # long as the cleanup takes. Stopped, it ends with what it has, and that goes into the
        # journal like any result.
        stop.set()
        await settled(future)
        try:
            reply = await future
        except TerminalError:
            raise Cancelled from None  # the call had failed in the same instant
        if reply.sent:
            count(reply)
        raise Cancelled(metadata={"partial": reply.text}) from None
    count(reply)
    return reply.text
