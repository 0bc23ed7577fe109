"""A model call as a durable step: not begun once its task is cancelled, stopped at once, tried
again for as long as that makes sense, and counted in any case.
"""

from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from restate import Context, TerminalError

from agent import admin
from agent.contracts import ChatMessage
from agent.drain import model_call
from agent.durable import leave_or_result, stop_when_cancelled
from agent.provider import Reply, ask
from agent.settings import settings
from agent.usage_meter import Usage, record

# Seconds before another attempt: twice as long each time. With 12 attempts that makes 160 s, in
# which a local server loads its model.
_FIRST_DELAY, _LONGEST_DELAY = 0.25, 32.0

# An attempt that is cut off, or after which the task pauses, does not reach the journal. Its tokens
# are kept here, for as long as this process lives, and counted with the next one's.
_unrecorded: Counter[tuple[str, str]] = Counter()


class ModelError(Exception):
    """No attempt is left, or an operator has to mend something: the task pauses."""


async def ask_model(
    ctx: Context,
    step: str,
    messages: list[ChatMessage],
    *,
    session: str,
    turn: int,
    schema: dict[str, Any] | None = None,
) -> str:
    """The model's answer, without what it has thought aloud.

    Args:
        step: names the call in the journal, in the usage and at the provider.
        schema: of the answer, if it is to be JSON.

    Raises:
        TerminalError: 409, cancelled; `metadata["partial"]` is what the model had said by then.
            500, the provider refuses the request, or ended its answer early.
    """
    # For the provider's logs, which take 512 ASCII characters.
    label = f"{quote(session, safe='')[:300]}/{turn}/{quote(step, safe='')[:180]}"
    spent = Usage(turn=turn, step=step, prompt_tokens=0, completion_tokens=0, finished=True)
    make = partial(ask, messages, label=label, schema=schema)
    attempt = 0
    while True:
        attempt += 1
        last = attempt >= settings().max_attempts
        reply, cancelled = await _attempt(ctx, step, make, last=last)
        spent.prompt_tokens += reply.prompt_tokens
        spent.completion_tokens += reply.completion_tokens
        spent.finished = reply.finished
        failure = reply.failure
        if cancelled or failure is None or failure.kind == "final":
            break
        delay = max(failure.delay, min(_FIRST_DELAY * 2 ** (attempt - 1), _LONGEST_DELAY))
        # A timer can be cancelled; a retry of Restate's would be deaf until its time has come.
        timer = ctx.sleep(timedelta(seconds=delay), name=failure.says[:200])
        try:
            await leave_or_result(timer)
        except TerminalError as error:
            cancelled = error
            break
    if spent.completion_tokens or (reply.sent and failure is None):
        # One-way: they are spent, whatever becomes of this task.
        ctx.object_send(record, key=session, arg=spent)
    if cancelled:
        raise TerminalError(cancelled.message, 409, {"partial": reply.text})
    if failure:
        raise TerminalError(failure.says)
    return reply.text


async def _attempt(
    ctx: Context, step: str, make: Callable[[Reply], Coroutine[Any, Any, None]], *, last: bool
) -> tuple[Reply, TerminalError | None]:
    """The reply of one attempt, and the cancellation that came meanwhile."""
    reply = Reply()
    key = (ctx.request().id, step)

    async def call() -> Reply:
        try:
            async with model_call():
                await make(reply)
        finally:  # also when its attempt was cut off
            _unrecorded[key] += reply.completion_tokens
        failure = reply.failure
        if failure and (failure.kind == "mendable" or (failure.kind == "passing" and last)):
            # Resumed, this very attempt is made again.
            await admin.pause(ctx.request().id)
            raise ModelError(failure.says)
        return counted()

    def counted() -> Reply:
        reply.completion_tokens = _unrecorded.pop(key, 0)
        return reply

    return await stop_when_cancelled(ctx, step, call, result=Reply, stopped=counted)
