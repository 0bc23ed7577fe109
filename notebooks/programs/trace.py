"""Traces a small tree that is cancelled, with a Restate server and a collector of its own.

A server that is told of an OpenTelemetry collector (RESTATE_TRACING_ENDPOINT) sends it a span for
each thing that happens to an invocation. Yours would be Jaeger or Tempo; this one receives spans
over HTTP, reads the protobuf, and prints a tree.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from restate import Context, Service

import workbench as wb
from workbench.state_dir import use_state_dir

Span = dict[str, Any]

spans: list[Span] = []


def fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a protobuf message: their numbers and values."""
    at = 0

    def number() -> int:
        nonlocal at
        value, shift = 0, 0
        while True:
            byte, at = message[at], at + 1
            value, shift = value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while at < len(message):
        field, kind = divmod(number(), 8)
        if kind == 0:
            yield field, number()
            continue
        size = {1: 8, 5: 4}.get(kind)
        if size is None:
            size = number()
        yield field, message[at : at + size]
        at += size


def spans_in(request: bytes) -> Iterator[Span]:
    """The spans of an export: in resources (1), in scopes (2), in lists (2)."""
    for _, resource in fields(request):
        for scope in (value for field, value in fields(resource) if field == 2):
            for span in (value for field, value in fields(scope) if field == 2):
                found = dict(fields(span))
                yield {
                    "id": found[2],
                    "parent": found.get(4, b""),
                    "name": found[5].decode(),
                    "start": int.from_bytes(found[7], "little"),
                    # field 15 is the status, whose field 2 is a text
                    "status": dict(fields(found.get(15, b""))).get(2, b"").decode(),
                }


class Collector(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        spans.extend(spans_in(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def tree(parent: bytes = b"", depth: int = 0) -> Iterator[str]:
    """A line for each span below `parent`, in order of time."""
    for span in sorted(spans, key=lambda span: (span["start"], span["id"])):
        if span["parent"] == parent:
            yield f"{'  ' * depth}{span['name']:<{40 - 2 * depth}}{span['status']}".rstrip()
            yield from tree(span["id"], depth + 1)


@contextlib.contextmanager
def collector() -> Iterator[str]:
    """The address of a collector."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"otlp+http://127.0.0.1:{server.server_port}/v1/traces"
        server.shutdown()


parent, child = Service("Parent"), Service("Child")


@child.handler()
async def ask(ctx: Context, prompt: str) -> str:
    return await ctx.run_typed("ask", wb.ask, prompt=prompt)


@parent.handler()
async def plan(ctx: Context, prompt: str) -> str:
    return await ctx.service_call(ask, prompt)


def main() -> None:
    with collector() as address, tempfile.TemporaryDirectory() as folder:
        os.environ.update(RESTATE_TRACING_ENDPOINT=address, OTEL_BSP_SCHEDULE_DELAY="50")
        os.environ["RESTATE_MODE"] = "embedded"
        with use_state_dir(Path(folder)):
            try:
                with wb.quiet():
                    cancel_a_tree()
            finally:
                wb.stop_all()
    print(*tree(), sep="\n")


def cancel_a_tree() -> None:
    _, model, admin, ingress = wb.up()
    wb.serve(parent, child)
    model.hold("a page")
    id = ingress.send("Parent", "plan", "a page")
    model.wait_held("a page")
    admin.cancel(id)
    ends = {"invocation-end Parent/plan", "invocation-end Child/ask", "ingress Parent/plan"}
    wb.wait_until(lambda: ends <= {span["name"] for span in spans}, what="the last spans")


if __name__ == "__main__":
    main()
