"""Removes a deployment with two calls on it: one at work, and one that is suspended."""

import threading
from datetime import timedelta
from typing import Any

from restate import Context, Service

import workbench as wb
from workbench.checks import settle

SERVICE = "DrainAndRemove"


def check(remove: Any, bench: wb.Bench) -> str:
    restate, model, admin, _ = bench
    ingress = wb.Ingress(restate, echo=lambda _: None)
    old, new = (Service(SERVICE, inactivity_timeout=timedelta(milliseconds=50)) for _ in range(2))
    awakeables: list[str] = []

    @old.handler("work", inactivity_timeout=timedelta(days=1))
    async def work_1(ctx: Context, name: str) -> str:
        return await ctx.run_typed("ask", wb.ask, prompt=f"{name} ask")

    @old.handler("wait")
    async def wait_1(ctx: Context) -> str:
        await ctx.sleep(timedelta(milliseconds=1))  # only what has written something is pinned
        id, answer = ctx.awakeable(type_hint=str)
        awakeables.append(id)
        return await answer

    @new.handler("work")
    async def work_2(ctx: Context, name: str) -> str:
        return f"{name} on the new version"

    @new.handler("wait")
    async def wait_2(ctx: Context) -> str:
        return "waited on the new version"

    name = wb.new_key("check")
    model.hold(name)
    deployment = wb.serve(old)
    calls = {
        "at work": ingress.send(SERVICE, "work", name),
        "suspended": ingress.send(SERVICE, "wait"),
    }
    model.wait_held(f"{name} ask")
    admin.wait_for(calls["suspended"], "suspended")
    wb.serve(new)
    mine = wb.Admin(restate, echo=lambda _: None)
    raised: list[Exception] = []

    def run() -> None:
        try:
            remove(mine, str(deployment))
        except Exception as error:
            raised.append(error)

    removal = threading.Thread(target=run, name="my_removal", daemon=True)
    removal.start()
    try:
        for state, id in calls.items():
            settle(bench, [SERVICE])
            removal.join(0.3)
            row = admin.wait_for(id, "running", "suspended", "paused", "backing-off", "completed")
            if row["status"] == "completed":
                raise wb.Wrong(
                    f"A call that was {state} ended: {row['completion_failure']}.",
                    question="Whose work was it, and who will do it now?",
                )
            if raised:
                raise raised[0]
            if not _is_there(admin, deployment):
                raise wb.Wrong(
                    f"The deployment was removed while a call of it was {state}.",
                    picture=wb.lanes(admin, list(calls.items())),
                    question="Which code will its next attempt run?",
                )
            if state == "at work":
                model.release(name)
            else:
                path = f"/restate/awakeables/{awakeables[0]}/resolve"
                ingress.request("POST", path, "done")
            ingress.attach(id)
        removal.join(2.0)
        if raised:
            raise raised[0]
        if _is_there(admin, deployment):
            raise wb.Wrong(
                "Nothing is pinned to the deployment any more, and it is still there.",
                question="What does your code still wait for?",
            )
    finally:
        model.release(name)
        mine.close()
        admin.end(calls.values())
    return "Both calls ended on the version on which they began, and then it was removed."


def _is_there(admin: wb.Admin, deployment: str) -> bool:
    found = admin.request("GET", "/deployments", echo=False)["deployments"]
    return any(one["id"] == deployment for one in found)
