"""Leaves a release stuck behind its build, and resumes it on the learner's deployment."""

from typing import Any

from restate import Context, InvocationRetryPolicy, Service

import workbench as wb
from workbench.checks import last_error
from workbench.exercises import your_error

SERVICE = "FixThatFits"


def check(ship: Any, bench: wb.Bench) -> str:
    _, model, admin, ingress = bench
    policy = InvocationRetryPolicy(max_attempts=1, on_max_attempts="pause")
    stuck, mended = (Service(SERVICE, invocation_retry_policy=policy) for _ in range(2))

    async def build(name: str) -> str:
        await wb.ask(f"{name} build")
        return "built"

    async def scan(name: str) -> str:
        await wb.ask(f"{name} scan")
        return "scanned"

    @stuck.handler("ship")
    async def v1(ctx: Context, name: str) -> str:
        await ctx.run_typed("build", build, name=name)
        raise RuntimeError("the bug of v1")

    @mended.handler("ship")
    async def v2(ctx: Context, name: str) -> str:
        shipped: str = await ship(ctx, name, build, scan)
        return shipped

    name = wb.new_key("release")
    wb.serve(stuck)
    sent = ingress.send(SERVICE, "ship", name)
    try:
        admin.wait_for(sent, "paused")
        before = _steps(admin, sent)
        admin.resume(sent, deployment=wb.serve(mended))
        wb.wait_until(lambda: _is_over(admin, sent), what="an attempt on your code", timeout=5)
        row = admin.wait_for(sent, "paused", "completed")
        if row["status"] == "paused":
            raise _stuck_again(admin, sent, before)
        if row["completion_result"] != "success":
            raise wb.Wrong(f"The release failed: {row['completion_failure']}.")
        asked = [request.label for request in model.requests(name)]
        for step, past in (("build", "built"), ("scan", "scanned")):
            count = asked.count(f"{name} {step}")
            if count == 0:
                raise wb.Wrong(
                    f"The release was announced, and never {past}.",
                    question=f"Where does your code run {step!r}?",
                )
            if count > 1:
                raise wb.Wrong(
                    f"The release was {past} {count} times.",
                    picture="\n".join(f"  {one.split()[-1]}" for one in asked),
                    question="Whose result is in the journal already?",
                )
        if "scan" not in _steps(admin, sent):
            raise wb.Wrong("The scan is no step: a crash after it would scan again.")
        if not isinstance(ingress.attach(sent), str):
            raise wb.Wrong("The release does not return a text.")
    finally:
        admin.patch(f"/invocations/{sent}/kill", allow={404, 409})
    return "It was built once, by v1, and scanned by your code, which fits its journal."


def _is_over(admin: wb.Admin, id: str) -> bool:
    """Whether the invocation has paused once more, or has ended."""
    sql = "SELECT id FROM sys_journal_events WHERE event_type = 'Paused'"
    paused = admin.query(f"{sql} AND id = '{id}'", echo=False)
    sql = f"SELECT id FROM sys_invocation WHERE status = 'completed' AND id = '{id}'"
    return len(paused) > 1 or bool(admin.query(sql, echo=False))


def _steps(admin: wb.Admin, id: str) -> list[str]:
    rows = wb.journal_rows(admin, id)
    return [row["name"] for row in rows if row["entry"] == "Run"]


def _stuck_again(admin: wb.Admin, id: str, journal: list[str]) -> wb.Wrong:
    """The verdict on an answer that paused: the journal's path beside its own."""
    last = [row for row in wb.journal_rows(admin, id) if row["entry"] == "! Paused"][-1]
    if "RT0016" not in str(last["result"]):
        return your_error(last_error(admin, [id]))
    yours = last["name"] or "something else"
    return wb.Wrong(
        "RT0016: your code takes another path than the journal.",
        picture=f"  the journal:  {' → '.join(journal)}\n  your code:    {yours} …",
        question="What may your code do before the point where the release stands?",
    )
