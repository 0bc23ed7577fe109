"""What an invocation ID is, and where it is found."""

from __future__ import annotations

import logging
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from restate import Context, Service

from tests.claims.conftest import Observed
from tests.claims.lab import Lab, happens, not_there, retries
from workbench import WorkbenchError
from workbench.restate import install_cli

NAME = "restate.invocation.id"

ids = Service("ClaimIds", invocation_retry_policy=retries(2))
spans: list[dict[str, Any]] = []


@ids.handler()
async def echo(ctx: Context, what: str) -> str:
    return what


@ids.handler()
async def fail(ctx: Context) -> None:
    raise ValueError("this attempt fails")


@ids.handler()
async def traced(ctx: Context) -> None:
    from restate.ext.tracing import RestateTracer

    class Tracer:
        def start_span(self, name: str, **given: Any) -> Any:
            from opentelemetry.trace import INVALID_SPAN

            spans.append({"name": name, **(given["attributes"] or {})})
            return INVALID_SPAN

    RestateTracer(Tracer()).start_span("work")  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module", autouse=True)
def served(lab: Lab) -> Iterator[None]:
    with lab.serving(ids):
        yield


@pytest.mark.claims("invocation-id-is-unique", "invocation-id-starts-with-inv")
def test_ids(lab: Lab, observed: Observed) -> None:
    sent = [lab.ingress.send("ClaimIds", "echo", "the same") for _ in range(50)]
    rows = lab.admin.query("SELECT id FROM sys_invocation")
    prefixes = sorted({re.split(r"(?<=_)", id)[0] for id in [*sent, *(row["id"] for row in rows)]})
    words = f"{len(set(sent))} IDs for {len(sent)} calls"
    observed("invocation-id-is-unique", len(set(sent)) == len(sent), words)
    words = f"IDs begin with {', '.join(prefixes)}"
    observed("invocation-id-starts-with-inv", prefixes == ["inv_"], words)


@pytest.mark.claims("id-in-server-logs", "id-in-sdk-logs", "id-in-every-place")
def test_logs(lab: Lab, observed: Observed, caplog: pytest.LogCaptureFixture) -> None:
    """An attempt fails, which both the server and the SDK log."""
    log = Path(lab.restate.process.log)  # type: ignore[attr-defined]
    with caplog.at_level(logging.WARNING, logger="restate"):
        id = lab.ingress.send("ClaimIds", "fail")
        lab.wait(id, "paused")
    records = [record for record in caplog.records if record.name.startswith("restate")]
    server = happens(lambda: f"{NAME}: {id}" in log.read_text(errors="replace"), 3.0)
    words = f"the log tells of a failed attempt, with {NAME if server else 'no such field'}"
    observed("id-in-server-logs", server, words)
    said = sorted({record.getMessage() for record in records})
    sdk = any(id in f"{record.getMessage()}{vars(record)}" for record in records)
    words = f"the Python SDK logs {'; '.join(said) or 'nothing'}, {'with' if sdk else 'without'}"
    observed("id-in-sdk-logs", sdk, f"{words} the ID")
    words = f"the server logs a failed attempt {'with' if server else 'without'} the ID, the SDK "
    words += "with it" if sdk else "without it"
    observed("id-in-every-place", server and sdk, words)


@contextmanager
def otlp_receiver() -> Iterator[tuple[str, list[bytes]]]:
    """What an OpenTelemetry collector is, for the time of a test: its endpoint, and the spans as
    they come, over OTLP/HTTP.
    """
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"otlp+http://127.0.0.1:{server.server_port}/v1/traces", bodies
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.claims("id-in-server-traces")
def test_server_traces(
    tmp_path: Path, lab: Lab, observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with otlp_receiver() as (endpoint, bodies):
        monkeypatch.setenv("RESTATE_TRACING_ENDPOINT", endpoint)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")  # milliseconds
        with Lab.started(tmp_path, lab.version) as own, own.serving(ids, name="traced ids"):
            own.ingress.call("ClaimIds", "echo", "hello")
            name, id = NAME.encode(), str(own.ingress.last_invocation_id).encode()
            # OpenTelemetry's KeyValue in protobuf: field 1 the key, field 2 an AnyValue, whose
            # field 1 is text; each is shorter than 128 bytes.
            pair = b"\n%c%b\x12%c\n%c%b" % (len(name), name, len(id) + 2, len(id), id)
            there = happens(lambda: any(pair in body for body in bodies), 5.0)
    observed("id-in-server-traces", there, f"spans {'have' if there else 'do not have'} {NAME}")


@pytest.mark.claims("id-in-sdk-traces")
def test_sdk_traces(lab: Lab, observed: Observed) -> None:
    pytest.importorskip("opentelemetry.trace")
    pytest.importorskip("restate.ext.tracing", exc_type=ImportError)
    lab.ingress.call("ClaimIds", "traced")
    if not spans:
        not_there("the SDK's tracer made no span")
    there = all(NAME in span for span in spans)
    words = f"a span of the Python SDK's RestateTracer {'has' if there else 'does not have'} {NAME}"
    observed("id-in-sdk-traces", there, words)


@pytest.mark.claims("id-in-cli")
def test_cli(lab: Lab, observed: Observed) -> None:
    try:
        cli = install_cli(lambda line: None)
    except WorkbenchError as error:
        pytest.skip(str(error).splitlines()[0])
    id = lab.ingress.send("ClaimIds", "fail")
    lab.wait(id, "paused")
    answer = subprocess.run(
        [cli, "--yes", "invocation", "ls"],
        env={
            "RESTATE_ADMIN_URL": lab.restate.admin_url,
            "RESTATE_INGRESS_URL": lab.restate.ingress_url,
            "RESTATE_CLI_CONFIG_HOME": str(lab.home),
            "DO_NOT_TRACK": "1",
        },
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    there = id in answer.stdout
    words = f"`restate invocation ls` {'shows' if there else 'does not show'} it"
    observed("id-in-cli", there, words)
