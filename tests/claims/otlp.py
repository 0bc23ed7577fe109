"""A receiver of traces: what an OpenTelemetry collector is, for as long as a probe takes."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class OtlpReceiver:
    """Takes spans over OTLP/HTTP and keeps them as they come: protobuf, in which text is plain."""

    def __init__(self) -> None:
        bodies = self._bodies = []  # type: list[bytes]

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def endpoint(self) -> str:
        """What the server's `tracing-endpoint` is set to."""
        return f"otlp+http://127.0.0.1:{self._server.server_port}/v1/traces"

    def has(self, attribute: str, value: str) -> bool:
        """Whether a span has come with this attribute, which is shorter than 128 bytes."""
        name, text = attribute.encode(), value.encode()
        # OpenTelemetry's KeyValue: field 1 the key, field 2 an AnyValue, whose field 1 is text.
        message = b"\n%c%b\x12%c\n%c%b" % (len(name), name, len(text) + 2, len(text), text)
        return any(message in body for body in self._bodies)

    def __enter__(self) -> OtlpReceiver:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()
