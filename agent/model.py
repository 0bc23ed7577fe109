"""One streaming call of the chat model, which can be stopped at any moment, and what its failures
mean for retries.
"""

import asyncio
from datetime import timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from time import monotonic, time

import openai
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel
from restate.exceptions import RetryableError

from agent.contracts import ChatMessage
from agent.settings import settings

__all__ = ["ModelError", "Refusal", "Reply", "Stop", "stream_reply"]

Stop = asyncio.Event

# How long a connection may take, in seconds. Silence after that is measured in tokens, not in
# bytes: what a provider sends to keep the connection open is no answer.
_CONNECT_TIMEOUT = 5.0

_A_DAY = 86_400.0


class Refusal(BaseModel):
    """Why another attempt would fare no better: an HTTP status, and what to tell the user."""

    status: int
    message: str


class Reply(BaseModel):
    """What a call has brought, as it is kept in the journal.

    `sent` is false where the call was stopped before its request went out, `finished` where it was
    stopped at all; `refusal` is set where it ended, but not with an answer. The provider counts the
    tokens in its last chunk, so for a call that did not get there the tokens of the prompt are
    unknown, given as 0, and those of the answer are the chunks that had arrived.
    """

    sent: bool = False
    text: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finished: bool = False
    refusal: Refusal | None = None


class ModelError(Exception):
    """The call failed, but that may pass or be mended: Restate tries again, then pauses."""


async def stream_reply(
    messages: list[ChatMessage], request_id: str, stop: Stop, reply: Reply
) -> None:
    """Stream one answer until it is complete, or until `stop` is set: then hang up.

    Args:
        messages: the chat, oldest first.
        request_id: sent as `X-Client-Request-Id`, by which the provider's logs can be told apart.
            ASCII.
        stop: set by the handler as soon as it is cancelled.
        reply: an empty one, filled as the answer comes in, so that what a failed call has brought
            is known too.

    Raises:
        ModelError: connection error, 5xx, cut, stalled or empty stream, a call that takes too long,
            or a 4xx that the operator can mend.
        RetryableError: 429; Restate tries again after the provider's `Retry-After`.
    """
    if stop.is_set():
        return
    clock = _Clock()
    call = asyncio.create_task(_receive(messages, request_id, reply, clock))
    stopped = asyncio.create_task(stop.wait())
    try:
        while not call.done() and not stopped.done():
            await asyncio.wait(
                {call, stopped}, timeout=clock.left(), return_when=asyncio.FIRST_COMPLETED
            )
        if call.done():
            await call
            reply.finished = True
    except openai.OpenAIError as error:
        if isinstance(error, openai.APIStatusError) and error.status_code in (400, 422):
            reply.finished = True
            reply.refusal = Refusal(status=error.status_code, message=_answered(error))
            return
        raise _meaning(error) from None  # the original may hold what a journal should not
    finally:
        # Also when the SDK cancels this action because the attempt is over. Closing is cancelling:
        # the stream's `async with` hangs up on the way out.
        call.cancel()
        stopped.cancel()
        await asyncio.gather(call, stopped, return_exceptions=True)
        # A token may be half a surrogate pair, and the text must be fit to be kept.
        reply.text = reply.text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class _Clock:
    """How long a call may go on."""

    def __init__(self) -> None:
        self._began = self._heard = monotonic()

    def heard(self) -> None:
        """A part of the answer has come."""
        self._heard = monotonic()

    def left(self) -> float:
        """Seconds until the call has failed, if nothing comes.

        Raises:
            ModelError: it has.
        """
        now = monotonic()
        stall, whole = settings().stall_timeout, settings().call_timeout
        if now >= self._heard + stall:
            raise ModelError(f"The model has sent nothing for {stall:g} s (AGENT_STALL_TIMEOUT).")
        if now >= self._began + whole:
            raise ModelError(f"The model call took longer than {whole:g} s (AGENT_CALL_TIMEOUT).")
        return min(self._heard + stall, self._began + whole) - now


async def _receive(
    messages: list[ChatMessage], request_id: str, reply: Reply, clock: _Clock
) -> None:
    finish_reason = None
    reply.sent = True
    async with await _client().chat.completions.create(
        model=settings().model,
        messages=[_as_param(message) for message in messages],
        stream=True,
        stream_options={"include_usage": True},
        extra_headers={"X-Client-Request-Id": request_id},
    ) as stream:
        try:
            async for chunk in stream:
                clock.heard()
                for choice in chunk.choices:
                    if choice.delta.content:
                        reply.text += choice.delta.content
                        reply.completion_tokens += 1
                    finish_reason = choice.finish_reason or finish_reason
                if chunk.usage:
                    reply.prompt_tokens = _count(chunk.usage.prompt_tokens, reply.prompt_tokens)
                    reply.completion_tokens = _count(
                        chunk.usage.completion_tokens, reply.completion_tokens
                    )
        except (ValueError, TypeError, AttributeError) as error:
            # The client checks nothing: no UTF-8, no JSON, null for a list, a number for a text.
            raise ModelError(
                f"The model's provider sent what is no chat completion ({type(error).__name__})."
            ) from None
    if finish_reason is None:
        raise ModelError("The model's stream ended before its answer did.")
    if finish_reason != "stop":
        message = f"The model gave no complete answer: it stopped with {finish_reason!r}."
        reply.refusal = Refusal(status=500, message=message)
    elif not reply.text.strip():
        raise ModelError("The model's answer is empty.")


def _count(tokens: object, counted: int) -> int:
    """What the provider says it has counted; if that is no count, what was counted here."""
    return tokens if isinstance(tokens, int) and 0 <= tokens < 2**31 else counted


def _as_param(message: ChatMessage) -> ChatCompletionMessageParam:
    match message.role:
        case "system":
            return {"role": "system", "content": message.content}
        case "user":
            return {"role": "user", "content": message.content}
        case "assistant":
            return {"role": "assistant", "content": message.content}


@cache
def _client() -> openai.AsyncOpenAI:
    # No retries here: two layers of retries multiply, and only Restate's survive a crash.
    # A provider on one's own machine may need no key; the client insists on one that is not empty.
    return openai.AsyncOpenAI(
        api_key=settings().api_key or "none",
        base_url=settings().base_url,
        max_retries=0,
        timeout=openai.Timeout(None, connect=_CONNECT_TIMEOUT),
    )


def _meaning(error: openai.OpenAIError) -> Exception:
    """The exception that makes Restate do what this failure calls for."""
    if not isinstance(error, openai.APIStatusError):
        return ModelError(
            f"The model's provider cannot be reached or hung up: {_without_key(str(error))}"
        )
    said = _answered(error)
    match error.status_code:
        case 429 if error.code == "insufficient_quota":  # waiting does not mend that
            return ModelError(f"{said} Mend the account, then resume the task.")
        case 429:
            return RetryableError(
                said,
                status_code=429,
                retry_after=_retry_after(error.response.headers.get("retry-after", "")),
            )
        case 401 | 403:  # the provider's own words may quote the key
            refusal = f"The model's provider answered {error.status_code}"
            return ModelError(f"{refusal}: mend OPENAI_API_KEY, then resume the task.")
        case _:
            return ModelError(said)


def _answered(error: openai.APIStatusError) -> str:
    return f"The model's provider answered {error.status_code}: {_without_key(_words(error))}"


def _words(error: openai.APIStatusError) -> str:
    """The provider's own message, without what the client puts around it."""
    body = error.body
    return str(body["message"]) if isinstance(body, dict) and body.get("message") else error.message


def _retry_after(value: str) -> timedelta | None:
    """The delay in a `Retry-After` header: seconds or a date (RFC 9110, 10.2.3).

    None leaves the delay to Restate's retry policy: also for one of more than a day, which nobody
    waits for.
    """
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time()
        except ValueError:
            return None
    return timedelta(seconds=max(0.0, seconds)) if seconds <= _A_DAY else None


def _without_key(text: str) -> str:
    key = settings().api_key
    return text.replace(key, "[key]") if key else text
