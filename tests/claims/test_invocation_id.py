"""What an invocation ID is, and where it is found."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from restate import Context, InvocationRetryPolicy, Service

from tests.claims.lab import Lab
from tests.claims.otlp import OtlpReceiver
from tests.claims.probe import NotThere, Observation, holds_if, probe
from workbench import WaitTimeout, new_key, wait_until
from workbench.restate import EmbeddedRestate

NAME = "restate.invocation.id"

ids = Service(
    "ClaimIds",
    invocation_retry_policy=InvocationRetryPolicy(
        initial_interval=timedelta(milliseconds=10), max_attempts=2, on_max_attempts="pause"
    ),
)

spans: dict[str, list[dict[str, Any]]] = {}


@ids.handler()
async def echo(ctx: Context, what: str) -> str:
    return what


@ids.handler()
async def fail(ctx: Context) -> None:
    raise ValueError("this attempt fails")


@ids.handler()
async def traced(ctx: Context, run: str) -> None:
    from restate.ext.tracing import RestateTracer

    class Tracer:
        def start_span(self, name: str, **given: Any) -> Any:
            from opentelemetry.trace import INVALID_SPAN

            spans.setdefault(run, []).append({"name": name, **(given["attributes"] or {})})
            return INVALID_SPAN

    RestateTracer(Tracer()).start_span("work")  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module", autouse=True)
def served(lab: Lab) -> Iterator[None]:
    with lab.serving(ids):
        yield


@probe("invocation-id-is-unique")
def test_unique(lab: Lab) -> Observation:
    sent = [lab.ingress.send("ClaimIds", "echo", "the same") for _ in range(50)]
    return holds_if(len(set(sent)) == len(sent), f"{len(set(sent))} IDs for {len(sent)} calls")


@probe("invocation-id-starts-with-inv")
def test_prefix(lab: Lab) -> Observation:
    for _ in range(5):
        lab.ingress.call("ClaimIds", "echo", "hello")
    rows = lab.admin.query(
        "SELECT id FROM sys_invocation WHERE target_service_name = 'ClaimIds' LIMIT 20"
    )
    prefixes = sorted({re.split(r"(?<=_)", row["id"])[0] for row in rows})
    return holds_if(prefixes == ["inv_"], f"IDs begin with {', '.join(prefixes)}")


def _wait(check: Any) -> bool:
    """Whether something comes about in a while."""
    try:
        wait_until(check, what="it", timeout=3.0)
    except WaitTimeout:
        return False
    return True


@probe("id-in-server-logs")
def test_server_log(lab: Lab) -> Observation:
    assert isinstance(lab.restate, EmbeddedRestate)
    log = Path(lab.restate.process.log)
    id = lab.ingress.send("ClaimIds", "fail")
    lab.wait(id, "paused")
    there = _wait(lambda: f"{NAME}: {id}" in log.read_text(errors="replace"))
    return holds_if(
        there, f"the log tells of a failed attempt, with {NAME if there else 'no such field'}"
    )


@probe("id-in-sdk-logs")
def test_sdk_log(lab: Lab) -> Observation:
    records: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    handler, logger = Keep(), logging.getLogger("restate")
    logger.addHandler(handler)
    try:
        id = lab.ingress.send("ClaimIds", "fail")
        lab.wait(id, "paused")
    finally:
        logger.removeHandler(handler)
    said = sorted({record.getMessage() for record in records})
    there = any(id in f"{record.getMessage()}{vars(record)}" for record in records)
    return holds_if(
        there,
        f"the Python SDK logs {'; '.join(said) or 'nothing'}, "
        f"{'with' if there else 'without'} the ID",
    )


@probe("id-in-server-traces")
def test_server_traces(tmp_path: Path, lab: Lab) -> Observation:
    with OtlpReceiver() as receiver, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESTATE_TRACING_ENDPOINT", receiver.endpoint)
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")  # milliseconds
        with Lab.started(tmp_path, lab.version) as own, own.serving(ids, name="traced ids"):
            own.ingress.call("ClaimIds", "echo", "hello")
            id = own.ingress.last_invocation_id
            assert id is not None
            there = _wait(lambda: receiver.has(NAME, id))
    return holds_if(there, f"spans {'have' if there else 'do not have'} {NAME}")


@probe("id-in-sdk-traces")
def test_sdk_traces(lab: Lab) -> Observation:
    pytest.importorskip("opentelemetry.trace")
    pytest.importorskip("restate.ext.tracing", exc_type=ImportError)
    run = new_key("traced")
    lab.ingress.call("ClaimIds", "traced", run)
    if run not in spans:
        raise NotThere("the SDK's tracer made no span")
    (span,) = spans[run]
    there = NAME in span
    return holds_if(
        there,
        f"a span of the Python SDK's RestateTracer {'has' if there else 'does not have'} {NAME}",
    )


@probe("id-in-cli")
def test_cli(lab: Lab) -> Observation:
    cli = shutil.which("restate")
    if cli is None:
        pytest.skip("no `restate` on the PATH (npm install -g @restatedev/restate)")
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
    return holds_if(there, f"`restate invocation ls` {'shows' if there else 'does not show'} it")
