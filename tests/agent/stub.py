"""A server that says, byte by byte, what it is told to: as wrong as real ones are."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[str, Any], "bytes | Iterator[bytes]"]


class Stub(ThreadingHTTPServer):
    """Answers each request with `answer(path, body)` and hangs up.

    Attributes:
        requests: the paths and bodies that have come.
    """

    scripted = True
    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        self.requests: list[tuple[str, Any]] = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                asked = json.loads(body) if body else None
                stub.requests.append((self.path, asked))
                said = answer(self.path, asked)
                with contextlib.suppress(OSError):  # nobody listens any more
                    for part in [said] if isinstance(said, bytes) else said:
                        self.wfile.write(part)
                        self.wfile.flush()
                self.close_connection = True

            do_PATCH = do_POST

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


def plain(status: int, body: object, headers: str = "") -> bytes:
    """An answer in one piece."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    length = f"content-length: {len(text)}\r\nconnection: close\r\n"
    return f"HTTP/1.1 {status} X\r\n{headers}{length}\r\n".encode() + text


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
