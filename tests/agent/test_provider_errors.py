"""What a provider may do instead of answering: which exception the OpenAI client makes of it, and
what the agent makes of that: another attempt, one after a while, or the end of the turn.

The provider is a socket that says what it is told to, so that it can be as wrong as real ones are.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.utils import formatdate
from time import time
from typing import Any

import openai
import pytest
from restate.exceptions import RetryableError

from agent import model
from agent.contracts import ChatMessage, Usage
from agent.model import ModelError, Reply, Stop, stream_reply
from agent.settings import settings
from workbench.ports import free_port

pytestmark = pytest.mark.anyio

KEY = "sk-canary-0b5f2d"
ASKED = [ChatMessage(role="user", content="Hello")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Outcome:
    """What the agent makes of a call."""

    kind: type[Exception] | str
    """The exception that it raises; "refused" for one that ends the turn, or "answer"."""
    says: str = ""
    retry_after: float | None = None
    status: int | None = None


@dataclass
class Case:
    answer: bytes
    client: type[Exception] | None
    """What the OpenAI client raises, on the call or while its stream is read."""
    agent: Outcome


def plain(
    status: int, body: Any = None, headers: str = "", content_type: str = "application/json"
) -> bytes:
    """An answer that is no stream."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (
        f"HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\n"
        f"content-length: {len(text)}\r\n{headers}connection: close\r\n\r\n"
    ).encode() + text


def error(message: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "x", "param": None, "code": code}}


def refusal(status: int, headers: str = "", code: str | None = None) -> bytes:
    return plain(status, error(f"Said so; your key is {KEY}.", code), headers)


def chunk(text: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    """An event of a stream."""
    delta = {} if text is None else {"content": text}
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    data = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return f"data: {json.dumps({**data, 'choices': choices, **more})}\n\n".encode()


def stream(*events: bytes, cut: bool = False) -> bytes:
    """An answer with these events; with `cut`, the connection ends before the answer does."""
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    body = b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in events)
    return head + body + (b"" if cut else b"0\r\n\r\n")


DONE = b"data: [DONE]\n\n"


@contextlib.asynccontextmanager
async def provider(answer: bytes) -> AsyncIterator[str]:
    """The base URL of a provider that gives this answer to each request, and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        )
        await reader.readexactly(length)
        writer.write(answer)
        await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


@contextlib.asynccontextmanager
async def configured(base_url: str, patch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """The agent's client, made anew with these settings."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        patch.delenv(name, raising=False)
        patch.delenv(name.lower(), raising=False)
    patch.setenv("OPENAI_BASE_URL", base_url)
    patch.setenv("OPENAI_API_KEY", KEY)
    settings.cache_clear()
    model._client.cache_clear()
    try:
        yield
    finally:
        await model._client().close()
        model._client.cache_clear()
        patch.undo()
        settings.cache_clear()


async def raised_by_the_client() -> Exception | None:
    try:
        answer = await model._client().chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Hello"}], stream=True
        )
        async with answer:
            async for _ in answer:
                pass
    except Exception as error:
        return error
    return None


async def outcome() -> tuple[Outcome, Reply]:
    reply = Reply()
    try:
        await stream_reply(ASKED, "s/1/plan", Stop(), reply)
    except RetryableError as error:
        wait = error.retry_after.total_seconds() if error.retry_after is not None else None
        return Outcome(RetryableError, error.message, wait, error.status_code), reply
    except Exception as error:
        return Outcome(type(error), str(error)), reply
    if reply.refusal:
        return Outcome("refused", reply.refusal.message, status=reply.refusal.status), reply
    return Outcome("answer", reply.text), reply


# What the agent makes of a call, by name.
ANSWERED = "The model's provider answered "
QUOTED = "Said so; your key is [key]."
REACH = "The model's provider cannot be reached or hung up: "
MEND_KEY = "mend OPENAI_API_KEY, then resume the task."
SENT_NO_CHAT = "The model's provider sent what is no chat completion"


def tries_again(said: str) -> Outcome:
    """It is tried again by Restate's policy, which pauses in the end."""
    return Outcome(ModelError, said)


def waits(seconds: float | None) -> Outcome:
    """It is tried again after a while; None leaves it to the policy how long."""
    return Outcome(RetryableError, f"{ANSWERED}429: {QUOTED}", seconds, 429)


def gives_up(status: int, said: str) -> Outcome:
    """The turn fails."""
    return Outcome("refused", said, status=status)


def says(status: int) -> Outcome:
    return tries_again(f"{ANSWERED}{status}: {QUOTED}")


def after(value: str) -> bytes:
    return refusal(429, f"retry-after: {value}\r\n")


def choice(delta: Any) -> bytes:
    """An event whose choice has another delta than a chat's."""
    return b"data: %s\n\n" % json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode()


def usage(**tokens: Any) -> bytes:
    return chunk("A", finish="stop") + chunk(usage=tokens, choices=[]) + DONE


END = chunk(finish="stop")

STATUSES = {
    "400": Case(refusal(400), openai.BadRequestError, gives_up(400, f"{ANSWERED}400: {QUOTED}")),
    "401": Case(
        refusal(401), openai.AuthenticationError, tries_again(f"{ANSWERED}401: {MEND_KEY}")
    ),
    "403": Case(
        refusal(403), openai.PermissionDeniedError, tries_again(f"{ANSWERED}403: {MEND_KEY}")
    ),
    "404": Case(refusal(404), openai.NotFoundError, says(404)),
    "408": Case(refusal(408), openai.APIStatusError, says(408)),
    "409": Case(refusal(409), openai.ConflictError, says(409)),
    "422": Case(
        refusal(422), openai.UnprocessableEntityError, gives_up(422, f"{ANSWERED}422: {QUOTED}")
    ),
    "429": Case(refusal(429), openai.RateLimitError, waits(None)),
    "429, seconds": Case(after("7"), openai.RateLimitError, waits(7)),
    "429, half a second": Case(after("0.5"), openai.RateLimitError, waits(0.5)),
    "429, no time": Case(after("0"), openai.RateLimitError, waits(0)),
    "429, less than no time": Case(after("-3"), openai.RateLimitError, waits(0)),
    "429, a date": Case(
        after(formatdate(time() + 1000, usegmt=True)), openai.RateLimitError, waits(1000)
    ),
    "429, a date that was": Case(
        after(formatdate(time() - 1000, usegmt=True)), openai.RateLimitError, waits(0)
    ),
    "429, a word": Case(after("soon"), openai.RateLimitError, waits(None)),
    "429, nothing": Case(after(""), openai.RateLimitError, waits(None)),
    "429, for ever": Case(after("inf"), openai.RateLimitError, waits(None)),
    "429, for millions of years": Case(after("9" * 14), openai.RateLimitError, waits(None)),
    "429, the account is empty": Case(
        refusal(429, "retry-after: 1\r\n", "insufficient_quota"),
        openai.RateLimitError,
        tries_again(f"{ANSWERED}429: {QUOTED} Mend the account, then resume the task."),
    ),
    "500": Case(refusal(500), openai.InternalServerError, says(500)),
    "500, a page": Case(
        plain(500, f"<html>{KEY}</html>".encode(), content_type="text/html"),
        openai.InternalServerError,
        tries_again(f"{ANSWERED}500: Error code: 500"),
    ),
    "502": Case(refusal(502), openai.InternalServerError, says(502)),
    "503": Case(refusal(503), openai.InternalServerError, says(503)),
    "504": Case(refusal(504), openai.InternalServerError, says(504)),
    "529": Case(refusal(529), openai.InternalServerError, says(529)),
    "301": Case(refusal(301), openai.APIStatusError, says(301)),
}

ENDED = tries_again("The model's stream ended before its answer did.")
HUNG_UP = tries_again(f"{REACH}Connection error.")
NO_CHAT = tries_again(SENT_NO_CHAT)

STREAMS = {
    "nothing at all": Case(b"", openai.APIConnectionError, HUNG_UP),
    "half a head": Case(b"HTTP/1.1 200 OK\r\ncon", openai.APIConnectionError, HUNG_UP),
    "another protocol": Case(b"SSH-2.0-x\r\n", openai.APIConnectionError, HUNG_UP),
    "cut before the first token": Case(stream(cut=True), openai.APIConnectionError, HUNG_UP),
    "cut in the middle": Case(
        stream(chunk("A"), chunk("B"), cut=True), openai.APIConnectionError, HUNG_UP
    ),
    "cut in an event": Case(
        stream(chunk("A"), chunk("B")[:30], cut=True), openai.APIConnectionError, HUNG_UP
    ),
    "cut after its end": Case(
        stream(chunk("A"), END, cut=True), openai.APIConnectionError, HUNG_UP
    ),
    "it ends too early": Case(stream(chunk("A")), None, ENDED),
    "it is done too early": Case(stream(chunk("A"), DONE), None, ENDED),
    "no content": Case(stream(END, DONE), None, tries_again("The model's answer is empty.")),
    "white space": Case(
        stream(chunk(" \n"), END, DONE), None, tries_again("The model's answer is empty.")
    ),
    "a page": Case(plain(200, b"<html>Log in</html>", content_type="text/html"), None, ENDED),
    "no stream": Case(plain(200, {"choices": []}), None, ENDED),
    "no body": Case(plain(204, b""), None, ENDED),
    "an error as an event": Case(
        stream(chunk("A"), b"data: %s\n\n" % json.dumps(error(f"No, {KEY}.")).encode()),
        openai.APIError,
        tries_again(f"{REACH}No, [key]."),
    ),
    "an error in another shape": Case(
        stream(chunk("A"), b'data: {"error": "No."}\n\n'),
        openai.APIError,
        tries_again(f"{REACH}An error occurred during streaming"),
    ),
    "too long": Case(
        stream(chunk("A"), chunk(finish="length"), DONE),
        None,
        gives_up(500, "The model gave no complete answer: it stopped with 'length'."),
    ),
    "filtered": Case(
        stream(chunk("A"), chunk(finish="content_filter"), DONE),
        None,
        gives_up(500, "The model gave no complete answer: it stopped with 'content_filter'."),
    ),
    "no end mark": Case(stream(chunk("A"), END), None, Outcome("answer", "A")),
    "usage in every event": Case(
        stream(chunk("A", usage=None), chunk(finish="stop", usage=None), DONE),
        None,
        Outcome("answer", "A"),
    ),
    "no JSON": Case(
        stream(chunk("A"), b"data: {no}\n\n", END, DONE), json.JSONDecodeError, NO_CHAT
    ),
    "no UTF-8": Case(
        stream(choice({"content": "?"}).replace(b"?", b"\xff"), END, DONE),
        UnicodeDecodeError,
        NO_CHAT,
    ),
    "no choices": Case(stream(b'data: {"id": "1"}\n\n', END, DONE), None, NO_CHAT),
    "no delta": Case(stream(choice(None), END, DONE), None, NO_CHAT),
    "a list": Case(stream(b"data: []\n\n", END, DONE), None, NO_CHAT),
    "a number for a text": Case(stream(choice({"content": 5}), END, DONE), None, NO_CHAT),
    "a pair of surrogates in two tokens": Case(
        stream(choice({"content": "\ud83d"}), choice({"content": "\ude00"}), END, DONE),
        None,
        Outcome("answer", "\U0001f600"),
    ),
    "half a pair": Case(
        stream(choice({"content": "A\ud83d"}), END, DONE), None, Outcome("answer", "A\ufffd")
    ),
    "usage without numbers": Case(stream(usage()), None, Outcome("answer", "A")),
    "usage that is null": Case(
        stream(usage(prompt_tokens=None, completion_tokens=None)), None, Outcome("answer", "A")
    ),
    "usage below nothing": Case(
        stream(usage(prompt_tokens=-1, completion_tokens=-1)), None, Outcome("answer", "A")
    ),
    "usage beyond all numbers": Case(
        stream(usage(prompt_tokens=10**12, completion_tokens=10**12)), None, Outcome("answer", "A")
    ),
}

ANSWERS = STATUSES | STREAMS


@pytest.mark.parametrize("case", ANSWERS.values(), ids=ANSWERS.keys())
async def test_what_the_agent_makes_of_an_answer(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with provider(case.answer) as url, configured(url, monkeypatch):
        raised = await raised_by_the_client()
        made, reply = await outcome()
    assert (type(raised) if raised else None) is case.client
    assert made.kind == case.agent.kind
    assert made.says.startswith(case.agent.says)
    assert KEY not in made.says
    assert made.status == case.agent.status
    if case.agent.retry_after is not None and case.agent.retry_after > 100:  # a date
        assert made.retry_after is not None
        assert case.agent.retry_after - 600 < made.retry_after <= case.agent.retry_after
    else:
        assert made.retry_after == case.agent.retry_after
    # Whatever has come can be kept, and counted.
    assert Reply.model_validate_json(reply.model_dump_json()) == reply
    for tokens in (reply.prompt_tokens, reply.completion_tokens):
        Usage(turn=1, step="s", prompt_tokens=tokens, completion_tokens=0, finished=True)


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("http://127.0.0.1:{port}/v1", "All connection attempts failed"),
        ("https://127.0.0.1:{port}/v1", "All connection attempts failed"),
        ("http://nothing.invalid/v1", ""),  # in the words of the system's resolver
        (f"http://{KEY}@nothing.invalid/v1", ""),
        (f"http://127.0.0.1:{{port}}/{KEY}/v1", "All connection attempts failed"),
    ],
    ids=["refused", "refused, TLS", "no such name", "the key as a user", "the key in the path"],
)
async def test_a_provider_that_cannot_be_reached(
    url: str, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with configured(url.format(port=free_port()), monkeypatch):
        raised = await raised_by_the_client()
        made, reply = await outcome()
    assert isinstance(raised, openai.APIConnectionError)
    assert cause in str(raised.__cause__)
    assert made == HUNG_UP
    assert KEY not in repr(raised)
    assert (reply.text, reply.completion_tokens) == ("", 0)
