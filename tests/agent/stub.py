"""A server that says, byte by byte, what it is told to: as wrong as real ones are."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote


@dataclass(frozen=True)
class Request:
    """What has come, and when, in seconds of `time.monotonic`."""

    at: float
    path: str
    label: str
    """The header `X-Client-Request-Id`: session, turn and step."""
    body: Any

    @property
    def session(self) -> str:
        return unquote(self.label.split("/")[0])

    @property
    def step(self) -> str:
        return unquote(self.label.split("/", 2)[2])


# What is sent; or how many seconds pass first, unless the other side hangs up.
Part = bytes | float
Answer = Callable[[Request], "bytes | Iterator[Part]"]


class Reset(Exception):
    """An answer raises it to end in a connection that is reset."""


class Stub(ThreadingHTTPServer):
    """Answers each request with `answer(request)` and hangs up.

    It has what `workbench.start_agent` needs to know of a model.

    Attributes:
        requests: what has come, oldest first.
    """

    scripted = True
    daemon_threads = True
    request_queue_size = 500

    def __init__(self, answer: Answer) -> None:
        self.requests: list[Request] = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                label = self.headers.get("x-client-request-id", "")
                asked = json.loads(body) if body else None
                request = Request(time.monotonic(), self.path, label, asked)
                stub.requests.append(request)
                self.close_connection = True
                said = answer(request)
                parts = iter([said]) if isinstance(said, bytes) else said
                with contextlib.suppress(OSError):  # nobody listens any more
                    self._send(parts)

            do_PATCH = do_POST

            def _send(self, parts: Iterator[Part]) -> None:
                try:
                    for part in parts:
                        if isinstance(part, bytes):
                            self.wfile.write(part)
                        elif select.select([self.connection], [], [], part)[0]:
                            return  # hung up
                except Reset:
                    at_once = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
                    self.rfile.close()
                    self.connection.close()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def __enter__(self) -> Stub:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


def plain(status: int, body: object) -> bytes:
    """An answer in one piece."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    length = f"content-length: {len(text)}\r\nconnection: close\r\n"
    return f"HTTP/1.1 {status} X\r\n{length}\r\n".encode() + text


def event(text: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    """An event of a stream."""
    delta = {} if text is None else {"content": text}
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return f"data: {json.dumps({'choices': choices, **more})}\n\n".encode()


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def stream(*events: bytes) -> bytes:
    """A streamed answer, which ends where the connection does."""
    return HEAD + b"".join(events)


def says(text: str) -> bytes:
    """A good answer."""
    return stream(event(text), event(finish="stop"), DONE)
