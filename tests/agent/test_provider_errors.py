"""What a provider may do instead of answering, and what the agent makes of that: another attempt,
one after a while, an operator's work, or the end of the turn. `test_provider_replies.py` has what
real providers send, and what becomes of a turn; this is about the call alone.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from email.utils import formatdate

import pytest

from agent import provider
from agent.contracts import ChatMessage
from agent.provider import Failure, Reply, ask, failure_of
from agent.settings import settings
from tests.agent.stub import DONE, HEAD, Answer, Stub, event, plain, stream
from workbench.loopback import free_port

pytestmark = pytest.mark.anyio

KEY = "sk-canary-0b5f2d"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def _forget() -> None:
    for cached in (settings, provider.client, provider._turnstile):
        cached.cache_clear()
    provider._refused.clear()


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    _forget()
    yield
    monkeypatch.undo()
    _forget()


@contextlib.asynccontextmanager
async def _asked(url: str, monkeypatch: pytest.MonkeyPatch, **env: str) -> AsyncIterator[Reply]:
    """The reply of a provider at this address."""
    for name, value in {"OPENAI_BASE_URL": url, **env}.items():
        monkeypatch.setenv(name, value)
    _forget()
    reply = Reply()
    await ask([ChatMessage(role="user", content="Hello")], reply, label="s/1/plan", schema={})
    yield reply
    await provider.client().close()


def _error(status: int, says: str = "No.", *, after: str = "") -> Failure:
    headers = {"retry-after": after} if after else {}
    return failure_of({"error": {"message": says}}, status, headers)


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


def test_what_is_unpaid_and_passes() -> None:
    assert _error(429, "See billing.", after="3").kind == "passing"


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
def test_the_providers_words(said: object, words: str) -> None:
    assert failure_of(said, 500).says.partition(": ")[2] == words


@pytest.mark.parametrize(
    ("after", "seconds"),
    [("7", 7), ("0.5", 0.5), ("0", 0), ("-3", 0), ("soon", 0), ("inf", 0), ("9" * 14, 0)],
)
def test_how_long_the_provider_asks_to_wait(after: str, seconds: float) -> None:
    assert _error(429, after=after).delay == seconds


def test_it_may_ask_to_wait_until_a_date() -> None:
    assert 900 < _error(429, after=formatdate(time.time() + 1000, usegmt=True)).delay <= 1000
    assert _error(429, after=formatdate(time.time() - 1000, usegmt=True)).delay == 0


def test_how_long_to_wait_may_stand_elsewhere() -> None:
    assert failure_of("", 429, {"retry-after-ms": "1500"}).delay == 1.5
    assert failure_of({"error": {"details": [{"retryDelay": "40s"}]}}, 429).delay == 40
    assert failure_of("Try again in 1m2.5s.", 429).delay == 62.5
    assert failure_of("Try again in 250ms.", 429).delay == 0.25
    reset = {"x-ratelimit-reset-tokens": "7.5s", "x-ratelimit-remaining-tokens": "0"}
    assert failure_of("", 429, reset).delay == 7.5
    assert failure_of("", 429, {**reset, "x-ratelimit-remaining-tokens": "1"}).delay == 0


END = event(finish="stop")
USAGE = b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}}\n\n'
BROKE = "broke off"

STREAMS: dict[str, tuple[bytes, str, str]] = {
    "an answer": (stream(event("A"), END, USAGE, DONE), "answer", "A"),
    "half a pair": (stream(event("A\ud83d"), END, DONE), "answer", "A\ufffd"),
    "a pair in two tokens": (
        stream(event("\ud83d"), event("\ude00"), END),
        "answer",
        "\U0001f600",
    ),
    "what is no chat": (
        stream(b"data: []\n\n", b"data: {no}\n\n", b'data: {"choices": 5}\n\n', event("A"), END),
        "answer",
        "A",
    ),
    "usage that is none": (
        stream(event("A"), event(usage={"prompt_tokens": -1, "completion_tokens": 10**12}), END),
        "answer",
        "A",
    ),
    "nothing": (b"", "passing", "cannot be reached"),
    "another protocol": (b"SSH-2.0-x\r\n", "passing", "cannot be reached"),
    "cut in the middle": (HEAD.replace(b"\r\n\r\n", b"\r\ncontent-length: 999\r\n\r\n"), "", BROKE),
    "it ends too early": (stream(event("A")), "passing", "ended before"),
    "no content": (stream(END, DONE), "passing", "empty"),
    "without an end": (stream(event("A" * 2_000_001)), "final", "has no end"),
    "an error": (stream(b'data: {"error": "No, %s."}\n\n' % KEY.encode()), "passing", "No, [key]."),
}


@pytest.mark.parametrize("name", STREAMS)
async def test_what_the_agent_makes_of_a_stream(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, kind, says = STREAMS[name]
    with Stub(lambda *_: answer) as stub:
        async with _asked(stub.base_url, monkeypatch) as reply:
            pass
    failure = reply.failure or Failure(kind="final", says=reply.text)
    assert (failure.kind if reply.failure else "answer") == (kind or "passing")
    assert says in failure.says
    assert KEY not in failure.says
    assert reply.finished
    assert reply.sent
    # Whatever has come can be kept, and counted.
    assert Reply.model_validate_json(reply.model_dump_json()) == reply
    assert 0 <= reply.completion_tokens < 2**31
    if name == "an answer":
        assert (reply.prompt_tokens, reply.completion_tokens) == (3, 5)


def _slowly(*parts: bytes) -> Iterator[bytes]:
    yield HEAD
    for part in parts:
        yield part
        threading.Event().wait(0.4)


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("AGENT_FIRST_TOKEN_TIMEOUT", [b": a comment\n\n"] * 9),
        ("AGENT_STALL_TIMEOUT", [event("A"), *[b": a comment\n\n"] * 9]),
        ("AGENT_CALL_TIMEOUT", [event("A")] * 9),
    ],
)
async def test_how_long_a_call_may_take(
    setting: str, parts: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Stub(lambda *_: _slowly(*parts)) as stub:
        async with _asked(stub.base_url, monkeypatch, **{setting: "0.9"}) as reply:
            assert reply.failure
            assert reply.failure.kind == "passing"
            assert setting in reply.failure.says


async def test_what_is_refused_by_its_name_is_left_out_from_then_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer(_: str, body: dict[str, object]) -> bytes:
        refused = "stream_options" in body
        return plain(422, b"stream_options: what?") if refused else stream(event("A"), END)

    with Stub(answer) as stub:
        async with _asked(stub.base_url, monkeypatch) as reply:
            assert reply.text == "A"
            await ask([], reply, label="s", schema=None)
    assert len(stub.requests) == 3


@pytest.mark.parametrize("url", ["{} ", "{}\n", "{}?api-version=1", "{}/"])
async def test_an_address_as_it_is_copied(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Stub(lambda *_: stream(event("A"), END)) as stub:
        async with _asked(url.format(stub.base_url), monkeypatch) as reply:
            assert reply.text == "A"
    query = "?api-version=1" if "api" in url else ""
    assert stub.requests[0][0] == f"/v1/chat/completions{query}"


async def test_so_many_calls_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    at_work: list[int] = []
    lock = threading.Semaphore(2)

    def answer(*_: object) -> Iterator[bytes]:
        at_work.append(lock.acquire(blocking=False))
        yield HEAD + event("A")
        threading.Event().wait(0.1)
        lock.release()
        yield END

    hello: Answer = answer
    with Stub(hello) as stub:
        async with _asked(stub.base_url, monkeypatch, AGENT_PARALLEL_CALLS="2"):
            await asyncio.gather(*(ask([], Reply(), label="s") for _ in range(6)))
    assert at_work == [True] * 7


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}/" + KEY, f"http://{KEY}@nothing.invalid/v1"])
async def test_a_provider_that_cannot_be_reached(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with _asked(url.format(free_port()), monkeypatch) as reply:
        assert reply.failure
        assert reply.failure.kind == "passing"
        assert "cannot be reached" in reply.failure.says
        assert KEY not in reply.failure.says
