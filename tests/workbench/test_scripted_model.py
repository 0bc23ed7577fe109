"""The scripted model, through the client that the agent uses: its wire format, its pace, what it
records, and its faults."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from workbench import process
from workbench.clients import wait_until
from workbench.model_client import (
    ModelRequest,
    Provider,
    ScriptedModel,
    start_model,
    start_scripted_model,
)
from workbench.scripted_model.openai_format import tokens
from workbench.state_dir import WorkbenchError

pytestmark = pytest.mark.anyio

KEY = "sk-not-to-be-seen"
FAST = 50_000.0
LABEL = "X-Client-Request-Id"

# No proxy and no certificates: the model is on loopback, and loading them takes 20 ms a client.
HTTP = httpx.Client(trust_env=False, verify=False, limits=httpx.Limits(max_keepalive_connections=0))


@pytest.fixture(scope="module")
def running_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedModel]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(tmp_path_factory.mktemp("home")))
        model = start_scripted_model()
        yield model
        model.stop()


@pytest.fixture
def model(running_model: ScriptedModel) -> ScriptedModel:
    running_model.mend()
    running_model.set(tokens_per_second=FAST, first_token_seconds=0)
    return running_model


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def client(model: ScriptedModel) -> AsyncIterator[AsyncOpenAI]:
    http = DefaultAsyncHttpxClient(trust_env=False, verify=False)
    async with AsyncOpenAI(
        api_key=KEY, base_url=model.base_url, max_retries=0, http_client=http
    ) as client:
        yield client


@pytest.fixture
def label(request: pytest.FixtureRequest) -> str:
    """A label of the test's own, by which it finds its requests among all."""
    return f"{request.node.name.partition('[')[0]}-{time.monotonic_ns()}/1/plan"


async def open_stream(
    client: AsyncOpenAI, label: str, prompt: str = "Hello", *, timeout: float = 30
) -> openai.AsyncStream[ChatCompletionChunk]:
    return await client.chat.completions.create(
        model="any",
        messages=[{"role": "user", "content": prompt}],
        stream=True,
        extra_headers={LABEL: label},
        timeout=timeout,
    )


async def read(stream: openai.AsyncStream[ChatCompletionChunk], limit: int = 10**6) -> list[str]:
    """Read the stream's tokens, `limit` of them at most."""
    found: list[str] = []
    async for chunk in stream:
        found += [c.delta.content for c in chunk.choices if c.delta.content]
        if len(found) >= limit:
            break
    return found


def ended(model: ScriptedModel, label: str) -> ModelRequest:
    def check() -> ModelRequest | None:
        (request,) = model.requests(label)
        return request if request.ended_at else None

    found = wait_until(check, what=f"the end of {label}", timeout=5, every=0.005)
    assert found
    return found


def post(model: ScriptedModel, body: Any, **headers: str) -> httpx.Response:
    return HTTP.post(
        f"{model.base_url}/chat/completions",
        content=body if isinstance(body, bytes) else json.dumps(body),
        headers={"Authorization": f"Bearer {KEY}", **headers},
    )


CHAT = {"model": "any", "messages": [{"role": "user", "content": "Hello"}]}


# ---- the wire format


def test_a_stream_has_openais_chunks_and_the_whole_answer_says_the_same(
    model: ScriptedModel,
) -> None:
    body = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
    response = post(model, body)
    assert response.headers["content-type"].startswith("text/event-stream")
    *raw, done, end = [line.removeprefix("data: ") for line in response.text.split("\n\n")]
    assert (done, end) == ("[DONE]", "")
    chunks = [ChatCompletionChunk.model_validate_json(event) for event in raw]
    role, *deltas, finish, usage = chunks
    assert {(c.id, c.model, c.object) for c in chunks} == {
        (role.id, "any", "chat.completion.chunk")
    }
    assert (role.choices[0].delta.role, role.choices[0].delta.content) == ("assistant", "")
    assert all(c.choices[0].finish_reason is None for c in [role, *deltas])
    assert (finish.choices[0].finish_reason, finish.choices[0].delta.content) == ("stop", None)
    assert usage.choices == []
    assert usage.usage
    assert usage.usage.completion_tokens == len(deltas) > 20
    assert usage.usage.total_tokens == len(deltas) + usage.usage.prompt_tokens
    assert all(json.loads(event)["usage"] is None for event in raw[:-1])
    assert "usage" not in post(model, {**CHAT, "stream": True}).text  # nobody has asked for it

    said = [c.choices[0].delta.content or "" for c in deltas]
    assert tokens("".join(said)) == said
    whole = ChatCompletion.model_validate(post(model, CHAT).json())
    assert (whole.choices[0].message.content, whole.usage) == ("".join(said), usage.usage)
    assert whole.choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        (b"{", None, "could not parse the JSON body"),
        ({"model": "any"}, "messages", "messages: Field required"),
        ({**CHAT, "messages": [{"role": "oracle", "content": ""}]}, "messages[0].role", "'system'"),
    ],
)
def test_a_wrong_request_is_a_400_that_names_the_fault(
    model: ScriptedModel, label: str, body: Any, param: str | None, message: str
) -> None:
    response = post(model, body, **{LABEL: label})
    error = response.json()["error"]
    assert (response.status_code, error["type"]) == (400, "invalid_request_error")
    assert set(error) == {"message", "type", "param", "code"}
    assert error["param"] == param
    assert message in error["message"]
    request = ended(model, label)
    assert (request.status, request.http_status) == ("refused", 400)


def test_other_requests_that_openai_would_refuse(model: ScriptedModel) -> None:
    response = post(model, CHAT, **{LABEL: "x" * 513})
    assert response.status_code == 400
    assert LABEL in response.json()["error"]["message"]
    response = post(model, CHAT, Authorization="Bearer")
    assert response.status_code == 401
    assert "didn't provide an API key" in response.json()["error"]["message"]
    response = HTTP.post(f"{model.base_url}/responses")
    assert response.status_code == 404
    assert "POST /v1/responses" in response.json()["error"]["message"]


# ---- the pace


@pytest.mark.parametrize("rate", [100.0, 3_000.0])
async def test_tokens_come_at_the_rate_that_was_set(
    model: ScriptedModel, client: AsyncOpenAI, label: str, rate: float
) -> None:
    model.set(tokens_per_second=rate, first_token_seconds=0.1)
    count = len(await read(await open_stream(client, label)))
    request = ended(model, label)
    assert request.completion_tokens == count
    assert request.first_token_at
    assert request.last_token_at
    # A busy machine delays tokens, but the clock is caught up with; it is never overtaken.
    assert 0.1 <= request.first_token_at - request.started_at < 1.1
    expected = 0.1 + (count - 1) / rate
    assert expected <= request.last_token_at - request.started_at < expected + 1.0


async def test_a_new_rate_holds_for_a_stream_under_way(
    model: ScriptedModel, client: AsyncOpenAI, label: str
) -> None:
    model.set(tokens_per_second=5)
    stream = await open_stream(client, label)
    first = await read(stream, limit=1)
    model.set(tokens_per_second=FAST)
    rest = await asyncio.wait_for(read(stream), timeout=2)
    assert ended(model, label).completion_tokens == len(first) + len(rest)


async def test_streams_side_by_side_are_counted_apart(
    model: ScriptedModel, client: AsyncOpenAI, label: str
) -> None:
    model.set(tokens_per_second=100)  # so slow that a busy machine hangs up before the end
    labels = [f"{label}/{number}" for number in range(8)]
    streams = await asyncio.gather(*(open_stream(client, each) for each in labels))
    # The first four are read to their ends, the others hang up after fewer and fewer tokens.
    limits = [10**6] * 4 + [12, 9, 6, 3]

    async def read_and_close(number: int) -> list[str]:
        async with streams[number] as stream:
            return await read(stream, limits[number])

    found = await asyncio.gather(*map(read_and_close, range(8)))
    requests = [ended(model, each) for each in labels]
    assert [r.status for r in requests] == ["completed"] * 4 + ["hung up"] * 4
    sent = [request.completion_tokens for request in requests]
    assert sent[:4] == [len(each) for each in found[:4]]
    for count, limit in zip(sent[4:], limits[4:], strict=True):
        assert limit <= count < len(found[0])


# ---- hanging up


async def test_a_hang_up_stops_the_stream_at_once_and_is_recorded(
    model: ScriptedModel, client: AsyncOpenAI, label: str
) -> None:
    model.set(tokens_per_second=100)
    stream = await open_stream(client, label)
    await read(stream, limit=10)
    hung_up_at = time.time()
    await stream.close()
    request = ended(model, label)
    assert request.status == "hung up"
    assert 10 <= request.completion_tokens <= 13
    assert request.ended_at
    assert request.ended_at - hung_up_at < 0.25


async def test_a_hang_up_is_seen_between_two_tokens_not_at_the_next_one(
    model: ScriptedModel, client: AsyncOpenAI, label: str
) -> None:
    model.set(tokens_per_second=0.1)
    stream = await open_stream(client, label)
    assert len(await read(stream, limit=1)) == 1
    await stream.close()
    request = ended(model, label)  # the next token would come in ten seconds
    assert (request.status, request.completion_tokens) == ("hung up", 1)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_hang_up_before_the_first_token(
    model: ScriptedModel, client: AsyncOpenAI, label: str, stream: bool
) -> None:
    model.set(first_token_seconds=60)
    task = asyncio.create_task(
        client.chat.completions.create(
            model="any",
            messages=[{"role": "user", "content": "Hello"}],
            stream=stream,
            extra_headers={LABEL: label},
        )
    )
    await asyncio.to_thread(
        wait_until, lambda: model.requests(label), what="the request", timeout=5
    )
    if stream:
        await (await task).close()  # type: ignore[union-attr]
    else:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    request = ended(model, label)
    assert (request.status, request.completion_tokens) == ("hung up", 0)
    assert request.first_token_at is None


def test_a_hang_up_in_the_middle_of_the_request(model: ScriptedModel, label: str) -> None:
    url = httpx.URL(model.base_url)
    with socket.create_connection((url.host, url.port or 0)) as connection:
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {url.host}\r\n{LABEL}: {label}\r\n"
            f"Authorization: Bearer {KEY}\r\nContent-Length: 1000\r\n\r\n{{"
        )
        connection.sendall(head.encode())
        wait_until(lambda: model.requests(label), what="the request", timeout=5)
    assert ended(model, label).status == "hung up"


# ---- records


async def test_a_request_is_recorded_with_its_counts_and_times(
    model: ScriptedModel, client: AsyncOpenAI, label: str
) -> None:
    before = time.time()
    count = len(await read(await open_stream(client, label, "Three short words")))
    request = ended(model, label)
    assert (request.label, request.step) == (label, "other")
    assert (request.status, request.http_status) == ("completed", 200)
    assert (request.prompt_tokens, request.completion_tokens) == (3, count)
    assert request.first_token_at
    assert request.last_token_at
    assert request.ended_at
    times = [request.started_at, request.first_token_at, request.last_token_at, request.ended_at]
    assert times == sorted(times)
    assert before - 0.1 < times[0] <= times[3] < time.time() + 0.1


async def test_a_request_is_closed_in_the_record_when_its_end_arrives(
    model: ScriptedModel, client: AsyncOpenAI, label: str
) -> None:
    for number in range(20):
        await read(await open_stream(client, f"{label}/{number}"))
        (request,) = model.requests(f"{label}/{number}")
        assert request.status == "completed"


def test_the_step_is_told_by_the_system_messages_first_line(
    model: ScriptedModel, label: str
) -> None:
    told = {
        "You plan a small Python program.": "plan",
        "You write one file of a small Python program.": "write",
        "You review a small Python program.": "review",
        "You plan a small Python program": "other",
    }
    for first_line in told:
        system = {"role": "system", "content": f"{first_line}\nBe brief."}
        post(model, {**CHAT, "messages": [system, *CHAT["messages"]]}, **{LABEL: label})
    assert [request.step for request in model.requests(label)] == list(told.values())


def test_requests_are_listed_by_prefix_and_number(model: ScriptedModel, label: str) -> None:
    for name in ("a/1", "a/2", "b/1"):
        post(model, CHAT, **{LABEL: f"{label}/{name}"})
    assert [r.label for r in model.requests(f"{label}/a/")] == [f"{label}/a/1", f"{label}/a/2"]
    numbers = [r.number for r in model.requests(label)]
    assert numbers == sorted(set(numbers))
    assert [r.number for r in model.requests(label, after=numbers[0])] == numbers[1:]


def test_no_key_is_kept_and_of_a_prompt_its_first_line(model: ScriptedModel) -> None:
    message = {"role": "user", "content": "Write a poem.\nIt is about a private matter."}
    post(model, {**CHAT, "messages": [message]})
    running = process.find("model")
    assert running
    assert model.requests()[-1].prompt == "Write a poem."
    kept = repr(model.requests()) + Path(running.log).read_text()
    assert KEY not in kept
    assert "private" not in kept


# ---- faults


REFUSALS: dict[str, tuple[int, type[openai.APIStatusError]]] = {
    "outage": (503, openai.InternalServerError),
    "server_error": (500, openai.InternalServerError),
    "rate_limit": (429, openai.RateLimitError),
    "unauthorized": (401, openai.AuthenticationError),
    "forbidden": (403, openai.PermissionDeniedError),
    "not_found": (404, openai.NotFoundError),
    "bad_request": (400, openai.BadRequestError),
    "unprocessable": (422, openai.UnprocessableEntityError),
}


@pytest.mark.parametrize("kind", REFUSALS)
async def test_a_refusal_is_the_right_error_of_the_client(
    model: ScriptedModel, client: AsyncOpenAI, label: str, kind: str
) -> None:
    status, exception = REFUSALS[kind]
    model.fail(kind)
    with pytest.raises(exception) as caught:
        await open_stream(client, label)
    assert caught.value.status_code == status
    assert isinstance(caught.value.body, dict)
    assert set(caught.value.body) == {"message", "type", "param", "code"}
    request = ended(model, label)
    assert (request.status, request.http_status) == ("refused", status)
    assert request.completion_tokens == 0


@pytest.mark.parametrize("after_tokens", [0, 7])
async def test_a_cut_answer_ends_in_a_connection_error(
    model: ScriptedModel, client: AsyncOpenAI, label: str, after_tokens: int
) -> None:
    model.fail("cut", after_tokens=after_tokens)
    stream = await open_stream(client, label)
    with pytest.raises(openai.APIConnectionError):
        await read(stream)
    request = ended(model, label)
    assert (request.status, request.completion_tokens) == ("cut", after_tokens)
    with pytest.raises(httpx.RemoteProtocolError):
        post(model, CHAT)  # without streaming, it breaks off too


async def test_an_empty_stream(model: ScriptedModel, client: AsyncOpenAI, label: str) -> None:
    model.fail("empty")
    chunks = [chunk async for chunk in await open_stream(client, label)]
    assert [c.choices[0].finish_reason for c in chunks] == [None, "stop"]
    assert not any(c.choices[0].delta.content for c in chunks)
    request = ended(model, label)
    assert (request.status, request.completion_tokens) == ("completed", 0)


async def test_a_hanging_stream_lasts_until_the_client_gives_up(
    model: ScriptedModel, client: AsyncOpenAI, label: str
) -> None:
    model.fail("hang")
    stream = await open_stream(client, label, timeout=0.2)
    with pytest.raises(openai.APITimeoutError):
        await read(stream)
    request = ended(model, label)
    assert (request.status, request.completion_tokens) == ("hung up", 0)


async def test_a_refused_connection_gets_no_answer(
    model: ScriptedModel, client: AsyncOpenAI, label: str
) -> None:
    model.fail("refuse", times=1)
    with pytest.raises(openai.APIConnectionError):
        await open_stream(client, label)
    request = ended(model, label)
    assert (request.status, request.http_status) == ("refused", None)
    assert await read(await open_stream(client, f"{label}/again"))


def test_a_fault_lasts_as_told_and_a_new_one_replaces_it(model: ScriptedModel) -> None:
    model.fail("outage", times=2)
    assert [post(model, CHAT).status_code for _ in range(3)] == [503, 503, 200]
    model.fail("outage", retry_after=2)
    assert post(model, CHAT).headers["retry-after"] == "2"
    model.fail("rate_limit")
    assert [post(model, CHAT).headers["retry-after"] for _ in range(3)] == ["1"] * 3
    model.fail("unauthorized", echo_key=True)
    refused = post(model, CHAT)
    assert (refused.status_code, refused.headers.get("retry-after")) == (401, None)
    assert f"You sent 'Bearer {KEY}'." in refused.json()["error"]["message"]
    model.mend()
    assert post(model, CHAT).status_code == 200


def test_a_fault_hits_only_what_it_is_to_match(model: ScriptedModel) -> None:
    def said(content: str) -> dict[str, Any]:
        earlier = [{"role": "user", "content": "Red"}, {"role": "assistant", "content": "Red"}]
        return {**CHAT, "messages": [*earlier, {"role": "user", "content": content}]}

    model.fail("outage", times=2, match="Red")
    assert post(model, said("Green"), **{LABEL: "other/1/plan"}).status_code == 200
    assert post(model, said("Make it Red"), **{LABEL: "other/1/plan"}).status_code == 503
    assert post(model, said("Green"), **{LABEL: "Red-session/1/plan"}).status_code == 503
    assert post(model, said("Red"), **{LABEL: "other/1/plan"}).status_code == 200


# ---- the control API's own errors, and the handle


def test_options_that_do_not_fit_are_refused_and_change_nothing(model: ScriptedModel) -> None:
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("thunderstorm", {}, "'outage', .*'refuse'"),
        ("cut", {"retry_after": 1}, "retry_after goes with"),
        ("outage", {"after_tokens": 1}, "after_tokens goes with"),
        ("cut", {"echo_key": True}, "echo_key goes with"),
        ("outage", {"times": 0}, "times: Input should be greater than 0"),
    ]
    for kind, options, message in wrong:
        with pytest.raises(WorkbenchError, match=message):
            model.fail(kind, **options)
    with pytest.raises(WorkbenchError, match="tokens_per_second: Input should be greater than 0"):
        model.set(tokens_per_second=0, first_token_seconds=60)
    assert post(model, CHAT).status_code == 200  # at once

    url = model.base_url.removesuffix("/v1") + "/control/settings"
    message = HTTP.patch(url, json={"speed": 3}).json()["error"]["message"]
    assert message == (
        "speed: Extra inputs are not permitted. "
        "The fields are: tokens_per_second, first_token_seconds."
    )


def test_start_finds_the_running_model_fast_and_whole_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    first = start_scripted_model()
    try:
        first.set(tokens_per_second=1, first_token_seconds=60)
        first.fail("outage")
        first.hold()
        second = start_scripted_model(first_token_seconds=0)
        assert second.base_url == first.base_url
        assert post(second, CHAT).status_code == 200
    finally:
        first.stop()
    with pytest.raises(WorkbenchError, match=r"does not answer .* wb.up\(\)"):
        first.requests()
    assert process.find("model") is None


def test_with_a_provider_nothing_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", KEY)
        assert start_model().base_url == "https://api.openai.com/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://models.example/v1")
    provider = start_model()
    assert isinstance(provider, Provider)
    assert (provider.scripted, provider.base_url) == (False, "http://models.example/v1")
    assert list(tmp_path.iterdir()) == []


# ---- gates


def test_a_held_answer_waits_until_it_is_released(model: ScriptedModel, label: str) -> None:
    model.hold(label, at=2)
    with ThreadPoolExecutor() as threads:
        answers = [threads.submit(post, model, CHAT, **{LABEL: f"{label}{n}"}) for n in range(2)]
        model.wait_held(label, count=2)
        assert [request.completion_tokens for request in model.requests(label)] == [2, 2]
        model.release(f"{label}1")
        assert answers[1].result(10).status_code == 200
        assert model.requests(f"{label}0")[0].status == "streaming"
        model.release()
        assert answers[0].result(10).status_code == 200


def test_one_that_hangs_up_is_held_no_more(model: ScriptedModel, label: str) -> None:
    model.hold(label)
    headers = {"Authorization": f"Bearer {KEY}", LABEL: label}
    body = {**CHAT, "stream": True}
    with HTTP.stream("POST", f"{model.base_url}/chat/completions", json=body, headers=headers):
        model.wait_held(label)
    wait_until(lambda: model.requests(label)[0].status == "hung up", what="the hang-up")
    model.release()


# ---- the process


SERVE = [sys.executable, "-m", "workbench.scripted_model"]


def test_a_taken_port_is_an_error_that_names_the_way_out(model: ScriptedModel) -> None:
    port = str(httpx.URL(model.base_url).port)
    result = subprocess.run([*SERVE, "--port", port], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    assert result.stderr == (
        f"Cannot listen on 127.0.0.1:{port}: Address already in use. Try --port 0.\n"
    )


def test_a_signal_ends_it_in_the_middle_of_a_stream() -> None:
    body, headers = {**CHAT, "stream": True}, {"Authorization": "Bearer x"}
    with subprocess.Popen(
        SERVE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        try:
            assert child.stdout
            url = f"{child.stdout.readline().split()[-1]}/chat/completions"
            with HTTP.stream("POST", url, json=body, headers=headers) as response:
                assert "assistant" in next(response.iter_text())
                child.send_signal(signal.SIGINT)
                assert child.wait(timeout=2) == -signal.SIGINT
            assert child.stdout.read() == ""
        finally:
            child.kill()
