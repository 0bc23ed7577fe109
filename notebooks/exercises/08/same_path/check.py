"""Breaks off the attempt at one minute to noon; the next one runs at noon."""

from typing import Any

from restate import Context, InvocationRetryPolicy, Service

import workbench as wb
from workbench.checks import fresh, last_error
from workbench.exercises import your_error

SERVICE = "SamePath"


def check(greeting: Any, bench: wb.Bench) -> str:
    _, model, admin, ingress = bench
    policy = InvocationRetryPolicy(max_attempts=2, on_max_attempts="pause")
    service = Service(SERVICE, invocation_retry_policy=policy)
    noon = False
    greeting = fresh(greeting)

    def hour() -> int:
        return 12 if noon else 11

    @service.handler("greet")
    async def handler(ctx: Context, name: str) -> str:
        greeted: str = await greeting(ctx, name, hour, wb.ask)
        return greeted

    wb.serve(service)
    name = wb.new_key("guest")
    model.hold(f"{name} send")
    sent = ingress.send(SERVICE, "greet", name)
    try:
        model.wait_held(f"{name} send", timeout=5)
        noon = True
        wb.cut_off()
        model.release(f"{name} send")
        row = admin.wait_for(sent, "paused", "completed", timeout=5)
        if row["status"] == "paused":
            last = [row for row in wb.journal_rows(admin, sent) if row["entry"] == "! Paused"][-1]
            if "RT0016" not in str(last["result"]):
                raise your_error(last_error(admin, [sent]))
            raise wb.Wrong(
                "RT0016: the second attempt took another path than the first.",
                picture=f"  at 11:59  {_steps(admin, sent)}\n  at 12:00  {last['name']} …",
                question="Which line gives another value in another attempt?",
            )
        asked = [request.label.removeprefix(f"{name} ") for request in model.requests(name)]
        written = [f"good {part}" for part in asked if part in ("morning", "afternoon")]
        if len(written) > 1:
            raise wb.Wrong(
                f"The greeting was written twice: {', '.join(written)}.",
                question="Which of the two was sent? What if each call were a step of its own?",
            )
        late = wb.new_key("guest")
        ingress.call(SERVICE, "greet", late, timeout=5)
        if not model.requests(f"{late} afternoon"):
            raise wb.Wrong("After noon a guest is still wished a good morning.")
    finally:
        model.release(f"{name} send")
        admin.patch(f"/invocations/{sent}/kill", allow={404, 409})
    return "Both attempts took the same path, although the clock had moved on."


def _steps(admin: wb.Admin, id: str) -> str:
    rows = wb.journal_rows(admin, id)
    return " → ".join(row["name"] for row in rows if row["entry"] == "Run")
