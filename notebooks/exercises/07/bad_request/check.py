"""Two bad bookings, and a good one while the provider is down."""

from typing import Any

from restate import Context, InvocationRetryPolicy, Service

import workbench as wb
from workbench.checks import steps

SERVICE = "BadRequest"
ENDS = ("paused", "completed")


def check(booking: Any, bench: wb.Bench) -> str:
    _, model, admin, ingress = bench
    mark = wb.new_key("table")
    policy = InvocationRetryPolicy(max_attempts=1, on_max_attempts="pause")
    service = Service(SERVICE, invocation_retry_policy=policy)

    async def book(guests: int) -> str:
        return await wb.ask(f"{mark} for {guests}")

    @service.handler("book_table")
    async def handler(ctx: Context, guests: int) -> str:
        booked: str = await booking(ctx, guests, book)
        return booked

    wb.serve(service)
    model.fail("outage", match=mark)
    sent = {guests: ingress.send(SERVICE, "book_table", guests) for guests in (0, -2, 4)}
    try:
        rows = {guests: admin.wait_for(id, *ENDS, timeout=5) for guests, id in sent.items()}
        picture = "\n".join(f"  for {guests:>2}  {_end(row)}" for guests, row in rows.items())
        for guests in (0, -2):
            _judge(rows[guests], picture)
        if rows[4]["status"] == "completed":
            raise wb.Wrong(
                "The outage of a minute failed a good booking for ever: "
                f"{rows[4]['completion_failure']}.",
                picture=picture,
                question="Which of the three can still succeed, once the provider is back?",
            )
        model.mend()
        admin.resume(sent[4])
        ingress.attach(sent[4], timeout=5)
        if not steps(admin, sent[4]):
            raise wb.Wrong(
                "The booking is no step: the journal does not know of it.",
                picture=picture,
                question="What would a crash just after the booking cost?",
            )
    finally:
        model.mend()
        for id in sent.values():
            admin.patch(f"/invocations/{id}/kill", allow={404, 409})
    return "The bad bookings failed at once; the good one waited for the provider, and is done."


def _judge(bad: dict[str, Any], picture: str) -> None:
    """Judge the end of a booking for no guests."""
    if bad["status"] == "paused":
        raise wb.Wrong(
            "A booking for no guests is paused: an operator has to look at it.",
            picture=picture,
            question="What could an operator do about it?",
        )
    if bad["completion_result"] == "success":
        raise wb.Wrong(
            "A booking for no guests counts as a success.",
            picture=picture,
            question="How does a caller tell a table from an apology?",
        )
    if not bad["completion_failure"].startswith("[4"):
        raise wb.Wrong(
            f"A booking for no guests was answered with {bad['completion_failure'][:5]}, "
            "as if it were our fault.",
            picture=picture,
            question="Which status says that the request is at fault?",
        )


def _end(row: dict[str, Any]) -> str:
    parts = [row["status"], row["completion_result"], row["completion_failure"]]
    return " · ".join(part for part in parts if part)
