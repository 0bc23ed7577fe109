"""The client below the admin API's and the ingress's, with a server that notes who calls."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from workbench.echoed_http import EchoedHttp


@pytest.fixture
def callers() -> Iterator[tuple[str, list[int]]]:
    """A server's URL, and the ports from which its requests have come."""
    ports: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # it would keep the connection

        def do_GET(self) -> None:
            ports.append(self.client_address[1])
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", ports
        server.shutdown()


def test_no_connection_is_used_twice(callers: tuple[str, list[int]]) -> None:
    url, ports = callers
    http = EchoedHttp(url, server="the server", echo=lambda _: None)
    for _ in range(3):
        assert http.request("GET", "/", timeout=5.0).status_code == 200
    http.close()
    assert len(set(ports)) == 3
