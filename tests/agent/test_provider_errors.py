"""What a provider may do instead of answering, and what the agent makes of that: another attempt,
one after a while, an operator's work, or the end of the turn. `test_provider_replies.py` has what
real providers send, and what becomes of a turn; this is about the call alone.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from email.utils import formatdate

import pytest

from agent import provider
from agent.contracts import ChatMessage
from agent.provider import Failure, Reply, ask, failure_of
from tests.agent.stub import DONE, HEAD, Part, Request, Stub, event, plain, stream
from workbench.loopback import free_port

pytestmark = pytest.mark.anyio

KEY = "sk-canary-0b5f2d"


Asked = Callable[..., Awaitable[Reply]]


@pytest.fixture
async def asked(configured: Callable[..., None]) -> AsyncIterator[Asked]:
    """Ask a provider at this address, with these settings."""

    async def ask_at(url: str, **env: str) -> Reply:
        configured(OPENAI_BASE_URL=url, OPENAI_API_KEY=KEY, **env)
        reply = Reply()
        hello, schema = ChatMessage(role="user", content="Hello"), {"type": "object"}
        await ask([hello], reply, label="s/1/plan", schema=schema)
        return reply

    yield ask_at
    await provider.client().close()


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        *((status, "No.", "passing") for status in (408, 409, 425, 429, 499, 500, 503, 529)),
        *((status, "No.", "mendable") for status in (401, 402, 403, 404, 405, 410)),
        *((status, "No.", "final") for status in (400, 413, 422)),
        (400, "Incorrect API key", "mendable"),
        (413, "Your account is too small", "final"),
        *((status, "It was flagged", "final") for status in (400, 403, 413, 422)),
        (401, "It was flagged", "mendable"),
        (429, "insufficient_quota", "mendable"),
        (429, "See billing.", "mendable"),
        (500, "See billing.", "passing"),
        (None, "later", "passing"),
        (None, "the model does not exist", "mendable"),
        (None, "unexpected endpoint", "mendable"),
        (None, "the context length is 4096", "final"),
    ],
)
def test_what_an_error_means(status: int | None, words: str, kind: str) -> None:
    failure = failure_of({"error": {"message": words}}, status)
    assert failure.kind == kind
    says = f"The provider answers {status}: {words}" if status else f"It says: {words}"
    hint = " Is OPENAI_BASE_URL right, with the /v1 that most providers want, and AGENT_MODEL?"
    asks = status in (404, 405) or words == "unexpected endpoint"
    assert failure.says == (f"{says}{hint}" if asks else says)


def test_what_is_unpaid_and_says_when_to_come_again_passes() -> None:
    assert failure_of("See billing.", 429, {"retry-after": "3"}).kind == "passing"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"error": {"code": 429}}, 429),
        ({"status": 400}, 400),
        ([{"status_code": 599}], 599),
        ({"error": {"code": 429}, "status": 503}, 503),
        *(({"code": other}, None) for other in (399, 600, "429", None)),
        ([], None),
        ("429", None),
    ],
)
def test_a_status_within_an_error(said: object, status: int | None) -> None:
    says = failure_of(said).says
    assert says.startswith(f"The provider answers {status}: " if status else "It says: ")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"error": {"message": "A"}}, "A"),
        ({"error": "A"}, "A"),
        ({"errors": [{"msg": "A"}, {"detail": "B"}, {"reason": "C"}, {"title": "D"}]}, "A; B; C"),
        ({"title": "A", "reason": ""}, "A"),
        ([{"error": {"message": "A"}}], "A"),
        ({"detail": [{"msg": "A"}]}, "A"),
        ("<html><h1>A</h1> B</html>", "A B"),
        ({}, "it gives no reason"),
        ("[" * 100_000, "[" * 1000),
        (f"You sent {KEY}.", "You sent [key]."),
    ],
)
def test_the_providers_words(said: object, words: str, configured: Callable[..., None]) -> None:
    configured(OPENAI_API_KEY=KEY)
    assert failure_of(said, 500).says.partition(": ")[2] == words


RESET = {"x-ratelimit-reset-tokens": "7.5s", "x-ratelimit-remaining-tokens": "0"}


@pytest.mark.parametrize(
    ("said", "headers", "seconds"),
    [
        *(("", {"retry-after": after}, float(after)) for after in ("7", "0.5", "0", "86400")),
        *(("", {"retry-after": after}, 0) for after in ("-3", "soon", "inf", "86401")),
        ("", {"retry-after-ms": "1500"}, 1.5),
        ({"error": {"details": [{"retryDelay": "40s"}]}}, {}, 40),
        ("Try again in 1m2.5s.", {}, 62.5),
        ("Try again in 250ms.", {}, 0.25),
        ("", RESET, 7.5),
        ("Try again in 3s.", RESET, 3),
        ("", {**RESET, "x-ratelimit-remaining-tokens": "1"}, 0),
    ],
)
def test_how_long_the_provider_asks_to_wait(
    said: object, headers: dict[str, str], seconds: float
) -> None:
    assert failure_of(said, 429, headers).delay == seconds


@pytest.mark.parametrize(("ahead", "least", "most"), [(1000, 900, 1000), (-1000, 0, 0)])
def test_it_may_ask_to_wait_until_a_date(ahead: int, least: int, most: int) -> None:
    headers = {"retry-after": formatdate(time.time() + ahead, usegmt=True)}
    assert least <= failure_of("", 429, headers).delay <= most


END = event(finish="stop")

STREAMS: dict[str, tuple[bytes, str, str]] = {
    "half a pair": (stream(event("A\ud83d"), END, DONE), "answer", "A\ufffd"),
    "a pair in two tokens": (stream(event("\ud83d"), event("\ude00"), END), "answer", "\U0001f600"),
    "nothing": (b"", "passing", "cannot be reached: Server disconnected"),
    "another protocol": (b"SSH-2.0-x\r\n", "passing", "cannot be reached"),
    "cut in the middle": (
        HEAD.replace(b"\r\n\r\n", b"\r\ncontent-length: 999\r\n\r\n"),
        "passing",
        "broke off: RemoteProtocolError.",
    ),
    "an error": (stream(b'data: {"error": "No, %s."}\n\n' % KEY.encode()), "passing", "No, [key]."),
}


@pytest.mark.parametrize("name", STREAMS)
async def test_what_the_agent_makes_of_a_stream(name: str, asked: Asked) -> None:
    """What is in its lines is read in `test_stream.py`."""
    answer, kind, says = STREAMS[name]
    with Stub(lambda _: answer) as stub:
        reply = await asked(stub.base_url)
    failure = reply.failure or Failure(kind="final", says=reply.text)
    assert (failure.kind if reply.failure else "answer") == kind
    assert says in failure.says
    assert reply.finished
    assert reply.sent
    assert Reply.model_validate_json(reply.model_dump_json()) == reply  # it can be kept


def _slowly(*parts: bytes) -> Iterator[Part]:
    yield HEAD
    for part in parts:
        yield part
        yield 0.4


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("AGENT_FIRST_TOKEN_TIMEOUT", [b": a comment\n\n"] * 9),
        ("AGENT_STALL_TIMEOUT", [event("A"), *[b": a comment\n\n"] * 9]),
        ("AGENT_CALL_TIMEOUT", [event("A")] * 9),
    ],
)
async def test_how_long_a_call_may_take(setting: str, parts: list[bytes], asked: Asked) -> None:
    with Stub(lambda _: _slowly(*parts)) as stub:
        failure = (await asked(stub.base_url, **{setting: "0.9"})).failure
    assert failure
    assert failure.kind == "passing"
    assert setting in failure.says


async def test_a_first_token_may_take_longer_than_a_silence(asked: Asked) -> None:
    parts = [b": a comment\n\n", b": a comment\n\n", event("A") + END]
    with Stub(lambda _: _slowly(*parts)) as stub:
        reply = await asked(stub.base_url, AGENT_STALL_TIMEOUT="0.5", AGENT_CALL_TIMEOUT="0.5")
    assert (reply.text, reply.failure) == ("A", None)


@pytest.mark.parametrize("status", [400, 422])
async def test_what_is_refused_by_its_name_is_left_out_from_then_on(
    status: int, asked: Asked
) -> None:
    def answer(request: Request) -> bytes:
        refused = "stream_options" in request.body
        return plain(status, b"stream_options: what?") if refused else stream(event("A"), END)

    with Stub(answer) as stub:
        reply = await asked(stub.base_url)
        assert reply.text == "A"
        await ask([], reply, label="s", schema=None)
    assert ["stream_options" in request.body for request in stub.requests] == [True, False, False]
    assert "response_format" in stub.requests[1].body


@pytest.mark.parametrize(("status", "words"), [(400, b"No."), (500, b"No stream_options.")])
async def test_what_is_refused_otherwise_is_not_asked_again(
    status: int, words: bytes, asked: Asked
) -> None:
    refusal = plain(status, words).replace(b"\r\n\r\n", b"\r\nretry-after: 7\r\n\r\n")
    with Stub(lambda _: refusal) as stub:
        failure = (await asked(stub.base_url)).failure
    assert failure == failure_of(words.decode(), status, {"retry-after": "7"})
    assert [request.label for request in stub.requests] == ["s/1/plan"]


@pytest.mark.parametrize("url", ["{} ", "{}\n", "{}?api-version=1", "{}/"])
async def test_an_address_as_it_is_copied(url: str, asked: Asked) -> None:
    with Stub(lambda _: stream(event("A"), END)) as stub:
        assert (await asked(url.format(stub.base_url))).text == "A"
    query = "?api-version=1" if "api" in url else ""
    assert stub.requests[0].path == f"/v1/chat/completions{query}"


async def test_so_many_calls_at_a_time(asked: Asked) -> None:
    at_work: list[int] = []
    lock = threading.Semaphore(2)

    def answer(_: Request) -> Iterator[Part]:
        at_work.append(lock.acquire(blocking=False))
        yield HEAD + event("A")
        yield 0.1
        lock.release()
        yield END

    with Stub(answer) as stub:
        await asked(stub.base_url, AGENT_PARALLEL_CALLS="2")
        await asyncio.gather(*(ask([], Reply(), label="s") for _ in range(6)))
    assert at_work == [True] * 7


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}/" + KEY, f"http://{KEY}@nothing.invalid/v1"])
async def test_a_provider_that_cannot_be_reached(url: str, asked: Asked) -> None:
    failure = (await asked(url.format(free_port()))).failure
    assert failure
    assert failure.kind == "passing"
    assert "cannot be reached" in failure.says
    assert KEY not in failure.says
