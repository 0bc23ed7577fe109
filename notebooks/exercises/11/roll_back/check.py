"""Rolls back while a digest of the newer version is at work, whose process then breaks off."""

from datetime import timedelta
from typing import Any

from restate import Context, InvocationRetryPolicy, Service

import workbench as wb
from workbench.checks import settle

SERVICE = "RollBack"


def check(rollback: Any, bench: wb.Bench) -> str:
    _, model, admin, ingress = bench
    soon = timedelta(milliseconds=50)
    policy = InvocationRetryPolicy(initial_interval=soon, max_attempts=2, on_max_attempts="pause")
    v1, v2 = (Service(SERVICE, invocation_retry_policy=policy) for _ in range(2))

    async def ask(name: str, step: str) -> str:
        await wb.ask(f"{name} {step}")
        return step

    @v1.handler("make")
    async def make_1(ctx: Context, name: str) -> str:
        await ctx.run_typed("write", ask, name=name, step="write")
        return "v1"

    @v2.handler("make")
    async def make_2(ctx: Context, name: str) -> str:
        await ctx.run_typed("check", ask, name=name, step="check")
        await ctx.run_typed("write", ask, name=name, step="write")
        return "v2"

    deployments = {"v1": wb.serve(v1), "v2": wb.serve(v2)}
    known = admin.request("GET", "/deployments", echo=False)["deployments"]
    old_uri = next(one["uri"] for one in known if one["id"] == deployments["v1"])
    name = wb.new_key("check")
    model.hold(f"{name} write")
    begun = ingress.send(SERVICE, "make", name)
    model.wait_held(f"{name} write")
    try:
        rollback(admin, old_uri, str(deployments["v2"]))
        made_by = ingress.call(SERVICE, "make", wb.new_key("new"), timeout=5)
        wb.cut_off()
        wb.wait_until(
            lambda: (
                len(model.requests(f"{name} write")) > 1
                or _status(admin, begun) in ("paused", "completed")
            ),
            what="the next attempt",
            timeout=5,
        )
        settle(bench, [SERVICE])
        status = _status(admin, begun)
        if status == "paused":
            raise wb.Wrong(
                "A digest that v2 had begun is paused.",
                picture=wb.lanes(admin, [("digest", begun)]),
                question="Which deployment did its next attempt need?",
            )
        if made_by != "v1":
            raise wb.Wrong(
                f"A new digest was made by {made_by}.",
                question="To Restate the address is not new. Did it look there again?",
            )
        model.release(name)
        row = admin.wait_for(begun, "completed")
        if row["completion_result"] != "success":
            raise wb.Wrong(
                f"A digest that v2 had begun failed: {row['completion_failure']}.",
                question="Was anything wrong with leaving it where it was?",
            )
        if ingress.output(begun) != "v2":
            raise wb.Wrong("A digest that v2 had begun was made by v1.")
    finally:
        model.release(name)
        admin.end([begun])
    return "New digests are made by v1; those that v2 had begun ended on v2."


def _status(admin: wb.Admin, id: str) -> str:
    sql = f"SELECT status FROM sys_invocation WHERE id = '{id}'"
    return str(admin.query(sql, echo=False)[0]["status"])
