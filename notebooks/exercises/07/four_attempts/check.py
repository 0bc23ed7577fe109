"""Serves a service with this policy while the provider is down, and counts its attempts."""

import contextlib
from typing import Any

from restate import Context, InvocationRetryPolicy, Service

import workbench as wb

SERVICE = "FourAttempts"


def check(policy: Any, bench: wb.Bench) -> str:
    _, model, admin, ingress = bench
    if not isinstance(policy, InvocationRetryPolicy):
        raise TypeError(f"my_policy has to be an InvocationRetryPolicy, not {policy!r}")
    service = Service(SERVICE, invocation_retry_policy=policy)

    @service.handler()
    async def work(ctx: Context, prompt: str) -> str:
        return await ctx.run_typed("ask the model", wb.ask, prompt=prompt)

    wb.serve(service)
    prompt = wb.new_key("four")
    model.fail("outage", match=prompt)
    sent = ingress.send(SERVICE, "work", prompt)
    try:
        row: dict[str, Any] = {"status": "still tried"}
        with contextlib.suppress(wb.WaitTimeout):
            row = admin.wait_for(sent, "paused", "completed", timeout=4.5)
        asked = len(model.requests(prompt))
        end = row.get("completion_failure") or row["status"]
        picture = f"  {'!' * asked}  {end} after {asked} attempts"
        if row["status"] == "still tried":
            raise wb.Wrong(
                "After 4 seconds it is still being tried, or waits for its next attempt.",
                picture=f"  {'!' * asked}~",
                question="This check waits no longer. Which argument says how many attempts there "
                "are, and which ones how long it is from one to the next?",
            )
        if row["status"] == "completed":
            raise wb.Wrong(
                f"After {asked} attempts the work was killed.",
                picture=picture,
                question="What should Restate do on the last attempt?",
            )
        if asked != 4:
            raise wb.Wrong(
                f"The provider was asked {asked} times before the pause.",
                picture=picture,
                question="Is the first attempt one of those that `max_attempts` counts?",
            )
        model.mend()
        admin.resume(sent)
        ingress.attach(sent, timeout=5)
    finally:
        model.mend()
        admin.patch(f"/invocations/{sent}/kill", allow={404, 409})
    return "Four attempts, then a pause; after the mend the work was resumed, and is done."
