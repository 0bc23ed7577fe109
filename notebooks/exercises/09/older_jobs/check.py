"""Leaves jobs of two tenants in an order that is known, and asks which ones would be cancelled."""

import time
from typing import Any

from restate import ObjectContext, VirtualObject

import workbench as wb
from workbench.checks import settle

SERVICE = "OlderJobs"
# In order of their sending: what each is, its tenant, and why it should be selected or not.
JOBS = [
    ("old", "mine", ""),
    ("over", "mine", "One that is over is selected."),
    ("theirs", "other", "A job of the other tenant is selected."),
    ("between", "mine", ""),
    ("due", "mine", ""),
    ("theirs, newest", "other", "A job of the other tenant is selected."),
    ("new", "mine", "One that is too new is selected."),
]


def check(my_older: Any, bench: wb.Bench) -> str:
    _, _, admin, ingress = bench
    service = VirtualObject(SERVICE)

    @service.handler()
    async def work(ctx: ObjectContext, over: bool) -> None:
        if not over:
            await ctx.awakeable()[1]

    wb.serve(service)
    keys = {tenant: wb.new_key(tenant).replace("-", "") for tenant in ("mine", "other")}
    ids = {}
    for number, (name, tenant, _) in enumerate(JOBS, start=1):
        key, delay = f"{keys[tenant]}-{number}", 3600 if name == "due" else None
        ids[name] = ingress.send(SERVICE, "work", name == "over", key=key, delay=delay)
        time.sleep(0.01)  # created_at counts milliseconds
    settle(bench, [SERVICE])
    found = admin.query(my_older(SERVICE, keys["mine"], keys["other"]))
    chosen = {row.get("id") for row in found}
    marks = {name: "selected" if id in chosen else "–" for name, id in ids.items()}
    picture = "\n".join(
        f"  {number} {'acme' if tenant == 'mine' else 'blue'}  {name:<15} {marks[name]}"
        for number, (name, tenant, _) in enumerate(JOBS, start=1)
    )
    for name, _, why in JOBS:
        if why and ids[name] in chosen:
            raise wb.Wrong(
                why, picture=picture, question="Which condition would leave it out, and only it?"
            )
        if not why and ids[name] not in chosen:
            raise wb.Wrong(
                "One that should go is not selected.",
                picture=picture,
                question="What is not completed is open. And which of blue's jobs counts?",
            )
    return "Three of five are selected: the open ones that are older than blue's newest."
