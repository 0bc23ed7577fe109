"""A provider that answers as real ones do: each session gets the answers of one case of
`provider_replies.json`.

A session is the name of a case and a suffix, `finish-eos.5f0c`. The agent names it in the header
`X-Client-Request-Id`, as `<session>/<turn>/<step>`, so cases do not meet, however many there are.
It is a bare socket, to be as wrong as real ones are.

A case has, beside what documents it and what is expected of the agent:

* `on`: the kinds of steps that it is about: `all`, or some of `plan`, `write` and `review`. The
  others are answered well.
* `responses`: what is sent, one entry a request of a step; the last repeats. `{}` is a good answer.
  - `status` (200), `headers`; `wait`: seconds before the first byte;
  - `json`, or `body`: a text, or a list of pieces, `pace` seconds apart. A piece is a text,
    `{"choice": …}` (an event with this choice), `{"chunk": …}` (an event with these fields),
    `{"event": …}` (an event with this JSON), `{"sleep": seconds}`, `{"cut": true}` (hang up),
    `{"reset": true}`, `{"hex": bytes}`, or `{"repeat": text, "times": n}`;
  - `encoding` ("gzip"), `bytewise`, `chunked` (true), `no_end` (no last chunk of the transfer).
* `answers`: what is said, by step or kind of step, in a good stream; `times`: how often, before a
  good answer comes.
* `refuses`: `responses` are for requests with this field only.
* `slot`: how many requests are served at a time; the others wait.

In texts, `$TEXT` stands for a good answer of the step within a JSON string, `$H1` and `$H2` for its
halves, `$RAW` for the answer as it is; `$ROLE`, `$FIRST`, `$SECOND`, `$STOP`, `$USAGE` and `$DONE`
for the events of a good stream; in headers, `$IN n` for the date in n seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import re
import socket
import struct
import threading
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote

__all__ = ["FILE", "REVIEW", "Case", "ReplayingProvider", "Request", "load", "pieces"]

PLAN = json.dumps(
    {"summary": "A clock.", "files": [{"path": "clock.py", "purpose": "Tells the time."}]}
)
FILE = "import time\nprint(time.ctime())\n"
REVIEW = "It tells the time: run python clock.py."
_GOOD = {"plan": PLAN, "write": FILE, "review": REVIEW}

_CHUNK = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
_GOOD_BODY = ["$ROLE", "$FIRST", "$SECOND", "$STOP", "$USAGE", "$DONE"]


@dataclass(frozen=True)
class Case:
    """What a provider sends, and what is to become of a turn that meets it."""

    name: str
    source: str
    kind: str
    right: str
    expect: list[dict[str, Any]]
    """What is right, in fields; where there are several, one has to hold."""
    env: str = "default"
    limit: float = 30.0
    on: str = "all"
    responses: list[dict[str, Any]] = field(default_factory=lambda: [{}])
    answers: dict[str, str] = field(default_factory=dict)
    times: int | None = None
    refuses: str | None = None
    slot: int | None = None

    def concerns(self, kind: str) -> bool:
        """Whether `responses` are for steps of this kind."""
        return self.on == "all" or kind in self.on.split(",")


def load() -> tuple[dict[str, Case], dict[str, dict[str, str]]]:
    """The cases by name, and the environments of the agent that they name."""
    found = json.loads(Path(__file__).with_name("provider_replies.json").read_text())
    cases = {}
    for name, case in found["cases"].items():
        expect = case.pop("expect")
        expect = expect if isinstance(expect, list) else [expect]
        cases[name] = Case(name=name, expect=expect, **case)
    return cases, found["envs"]


@dataclass(frozen=True)
class Request:
    """What the agent has sent, and when, in seconds of `time.monotonic`."""

    at: float
    session: str
    step: str
    body: dict[str, Any]

    @property
    def kind(self) -> str:
        """plan, write or review."""
        return self.step.split(" ")[0]

    @property
    def counted_as(self) -> str:
        """The step; to plan again is the same one."""
        return "plan" if self.kind == "plan" else self.step

    @property
    def last_words(self) -> str:
        """The last message of the prompt."""
        return str(self.body["messages"][-1]["content"])


class ReplayingProvider:
    """The server, in a thread of its own; a context manager.

    It has what `workbench.start_agent` needs to know of a model.
    """

    scripted = True

    def __init__(self, cases: dict[str, Case]) -> None:
        self._cases = cases
        self._requests: list[Request] = []
        self._counts: Counter[tuple[str, str]] = Counter()
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._port = 0

    def __enter__(self) -> ReplayingProvider:
        self._thread.start()
        assert self._ready.wait(10), "the provider does not start"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._loop
        assert self._stop
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive(), "the provider does not stop"

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def requests(self, session: str) -> list[Request]:
        """What a session has asked for so far, oldest first."""
        return [request for request in list(self._requests) if request.session == session]

    def by_step(self, session: str) -> dict[str, list[Request]]:
        """The same, step by step."""
        steps = defaultdict(list)
        for request in self.requests(session):
            steps[request.counted_as].append(request)
        return dict(steps)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        connections: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task
            connections.add(task)
            try:
                await self._connection(reader, writer)
            except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass  # the agent has hung up, or the test is over
            finally:
                connections.discard(task)
                writer.close()
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    await writer.wait_closed()

        server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=1000)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request, and answer it for as long as somebody listens."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])
        }
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        session, _, step = headers["x-client-request-id"].split("/", 2)
        request = Request(time.monotonic(), unquote(session), unquote(step), body)
        self._requests.append(request)

        answer = asyncio.create_task(self._answer(request, writer))
        hung_up = asyncio.create_task(reader.read())
        try:
            await asyncio.wait({answer, hung_up}, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                await answer
        finally:
            answer.cancel()
            hung_up.cancel()
            await asyncio.gather(answer, hung_up, return_exceptions=True)

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        case = self._cases[request.session.rpartition(".")[0]]
        before = self._counts[request.session, request.counted_as]
        text = _GOOD[request.kind]
        said = case.answers.get(request.step, case.answers.get(request.kind))
        if said is not None and (case.times is None or before < case.times):
            text = said
        response: dict[str, Any] = {}
        if case.concerns(request.kind) and (case.refuses is None or case.refuses in request.body):
            response = case.responses[min(before, len(case.responses) - 1)]
        self._counts[request.session, request.counted_as] += 1

        async with self._slot(case, request):
            await asyncio.sleep(response.get("wait", 0))
            await _send(response, text, writer)

    @contextlib.asynccontextmanager
    async def _slot(self, case: Case, request: Request) -> AsyncIterator[None]:
        if case.slot is None or not case.concerns(request.kind):
            yield
            return
        slots = self._slots.setdefault(request.session, asyncio.Semaphore(case.slot))
        async with slots:
            yield


def pieces(response: dict[str, Any], text: str) -> Iterator[bytes | dict[str, Any]]:
    """What goes out one after the other: bytes, and what is to happen in between."""
    if "json" in response:
        yield _filled(json.dumps(response["json"]), text)
        return
    body = response.get("body", _GOOD_BODY)
    for piece in [body] if isinstance(body, str) else body:
        match piece:
            case str():
                yield _filled(piece, text)
            case {"choice": choice}:
                yield _filled(_chunk(choices=[_choice(**choice)]), text)
            case {"chunk": fields}:
                yield _filled(_chunk(**fields), text)
            case {"event": data}:
                yield _filled(f"data: {json.dumps(data)}\n\n", text)
            case {"hex": digits}:
                yield bytes.fromhex(digits)
            case {"repeat": repeated, "times": times}:
                yield _filled(repeated, text) * times
            case _:
                yield piece


def _choice(**fields: Any) -> dict[str, Any]:
    return {"index": 0, "delta": {}, "finish_reason": None, **fields}


def _chunk(**fields: Any) -> str:
    return f"data: {json.dumps({**_CHUNK, **fields})}\n\n"


_EVENTS = {
    "$ROLE": _chunk(choices=[_choice(delta={"role": "assistant", "content": ""})]),
    "$FIRST": _chunk(choices=[_choice(delta={"content": "$H1"})]),
    "$SECOND": _chunk(choices=[_choice(delta={"content": "$H2"})]),
    "$STOP": _chunk(choices=[_choice(finish_reason="stop")]),
    "$USAGE": _chunk(
        choices=[], usage={"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    ),
    "$DONE": "data: [DONE]\n\n",
}


def _filled(piece: str, text: str) -> bytes:
    for name, event in _EVENTS.items():
        piece = piece.replace(name, event)
    half = len(text) // 2
    texts = {"$TEXT": text, "$H1": text[:half], "$H2": text[half:]}
    for name, value in texts.items():
        piece = piece.replace(name, json.dumps(value)[1:-1])
    return piece.replace("$RAW", text).encode()


async def _send(response: dict[str, Any], text: str, writer: asyncio.StreamWriter) -> None:
    chunked = response.get("chunked", True)
    headers = {
        "content-type": "application/json" if "json" in response else "text/event-stream",
        "connection": "close",
        **({"transfer-encoding": "chunked"} if chunked else {}),
        **({"content-encoding": response["encoding"]} if "encoding" in response else {}),
        **{name: _dated(value) for name, value in response.get("headers", {}).items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {response.get('status', 200)} X\r\n{head}\r\n".encode())
    async for part in _parts(response, text):
        if part is None:
            _reset(writer)
            return
        writer.write(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
        await writer.drain()
    last = (response.get("body") or [None])[-1]
    if chunked and not response.get("no_end") and last != {"cut": True}:
        writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _parts(response: dict[str, Any], text: str) -> AsyncIterator[bytes | None]:
    """The bytes of a body, as they go out; None for a reset."""
    zipped = None
    if "encoding" in response:
        whole = b"".join(piece for piece in pieces(response, text) if isinstance(piece, bytes))
        zipped = [gzip.compress(whole)]
    for piece in zipped or pieces(response, text):
        match piece:
            case bytes() if response.get("bytewise"):
                for byte in piece:
                    yield bytes([byte])
            case bytes() if piece:  # an empty part would be the last
                yield piece
            case {"sleep": seconds}:
                await asyncio.sleep(seconds)
            case {"reset": True}:
                yield None
            case {"cut": True}:
                return
        await asyncio.sleep(response.get("pace", 0))


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close the connection in a way that the other side takes for an error."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _dated(value: str) -> str:
    ahead = re.fullmatch(r"\$IN (\d+)", value)
    return formatdate(time.time() + int(ahead[1]), usegmt=True) if ahead else value
