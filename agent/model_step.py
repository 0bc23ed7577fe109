"""A model call as a durable step: not begun once its task is cancelled, stopped at once, and
counted in any case.
"""

from collections.abc import Callable
from urllib.parse import quote

from pydantic import BaseModel
from restate import Context, TerminalError

from agent.attempts import attempts_of, forget
from agent.cancellation import Cancelled, cancellation_point, result_of, settled
from agent.contracts import ChatMessage, Usage
from agent.model import Reply, Stop, stream_reply
from agent.usage_meter import record

__all__ = ["ask_model"]


class _Result(BaseModel):
    """What is kept in the journal: the reply of the attempt that ended the step, and what all of
    its attempts have cost.
    """

    reply: Reply
    prompt_tokens: int
    completion_tokens: int


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
        TerminalError: the provider refuses the request, or ended its answer early.
    """
    stop = Stop()
    # For the provider's logs, which take 512 ASCII characters.
    request_id = f"{quote(session, safe='')[:300]}/{turn}/{quote(step, safe='')[:180]}"
    invocation_id = ctx.request().id

    async def call() -> _Result:
        attempts = attempts_of(invocation_id, step)
        reply = Reply()
        attempts.append(reply)
        await stream_reply(messages, request_id, stop, reply)
        if check and reply.finished and not reply.refusal:
            check(reply.text)  # in here, so that an answer that is no use never reaches the journal
        return _Result(
            reply=reply,
            prompt_tokens=sum(attempt.prompt_tokens for attempt in attempts),
            completion_tokens=sum(attempt.completion_tokens for attempt in attempts),
        )

    def count(result: _Result) -> None:
        forget(invocation_id, step)
        answered = result.reply.sent and not result.reply.refusal
        if not answered and not result.completion_tokens:
            return  # it has cost nothing
        # One-way: the tokens are spent, whatever becomes of this task.
        usage = Usage(
            turn=turn,
            step=step,
            prompt_tokens=result.prompt_tokens,
            completion_tokens=result.completion_tokens,
            finished=result.reply.finished,
        )
        ctx.object_send(record, key=session, arg=usage)

    await cancellation_point(ctx)
    future = ctx.run_typed(step, call)
    try:
        result = await result_of(future)
    except Cancelled:
        # A cancellation ends the wait and not the action, which would go on, tokens and all, for as
        # long as the cleanup takes. Stopped, it ends with what it has, and that goes into the
        # journal like any result.
        stop.set()
        await settled(future)
        result = await future
        count(result)
        raise Cancelled(metadata={"partial": result.reply.text}) from None
    count(result)
    if result.reply.refusal:
        raise TerminalError(result.reply.refusal.message, status_code=result.reply.refusal.status)
    return result.reply.text
