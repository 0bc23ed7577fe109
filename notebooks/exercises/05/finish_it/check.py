"""Cancels a parent five times: at work, in its child's undo, and in its own."""

import contextlib
from typing import Any

from restate import Context, Service, TerminalError, wait_completed

import workbench as wb
from workbench.checks import EnoughError, settle, watched

PARENT, CHILD = "FinishItParent", "FinishItChild"


def check(finish: Any, bench: wb.Bench) -> str:
    _, model, admin, ingress = bench
    parent, child = Service(PARENT), Service(CHILD)
    circles: list[str] = []

    async def finished(future: Any) -> Any:
        try:
            return await finish(watched(future, []))
        except EnoughError:
            circles.append("…")
            raise TerminalError("It goes round in circles.") from None

    @child.handler("work")
    async def child_work(ctx: Context, name: str) -> str:
        try:
            return await ctx.run_typed("work", wb.ask, prompt=f"{name} work")
        except TerminalError:
            await finished(ctx.run_typed("child's undo", wb.ask, prompt=f"{name} child"))
            raise

    @parent.handler("work")
    async def parent_work(ctx: Context, name: str) -> str:
        call = ctx.service_call(child_work, name)
        try:
            await wait_completed(call)
            return await call
        except TerminalError:
            with contextlib.suppress(TerminalError):  # the child was cancelled, too
                await finished(call)
            await finished(ctx.run_typed("parent's undo", wb.ask, prompt=f"{name} parent"))
            raise

    @parent.handler("one_step")
    async def one_step(ctx: Context, works: bool) -> Any:
        return await finished(ctx.run_typed("step", _step, works=works))

    wb.serve(parent, child)
    name = first = wb.new_key("check")
    model.hold(name)
    task = ingress.send(PARENT, "work", name)
    model.wait_held(f"{name} work")
    admin.cancel(task)
    for undo in ("child", "parent"):
        settle(bench, [PARENT, CHILD])
        for _ in range(5):
            admin.patch(f"/invocations/{task}/cancel", allow={409})
        settle(bench, [PARENT, CHILD])
        model.release(f"{name} {undo}")
    model.release(name)
    settle(bench, [PARENT, CHILD])
    if circles:
        raise wb.Wrong(
            "`finish` goes round in circles.",
            question="When does your loop end, and which error makes it go on for ever?",
        )
    name = wb.new_key("check")
    model.hold(name)
    killed = ingress.send(PARENT, "work", name)
    model.wait_held(f"{name} work")
    admin.cancel(killed)
    model.wait_held(f"{name} child")
    admin.kill(killed)
    settle(bench, [PARENT, CHILD])
    model.release(name)
    if circles:
        raise wb.Wrong(
            "The parent was killed, and `finish` goes on asking for ever.",
            question="A kill is no TerminalError. Which errors does your `except` catch?",
        )
    name = first
    ids = [row["id"] for row in wb.tree_rows(admin, task)]
    rows = list(zip(("parent", "child"), ids, strict=True))
    done = {
        row["name"]: row["done"]
        for _, id in rows
        for row in wb.journal_rows(admin, id)
        if row["entry"] == "Run" and row["name"].endswith("undo")
    }
    picture = wb.lanes(admin, rows)
    picture += "\n" + "".join(
        f"\n{undo}: {'done' if ok else 'not done'}" for undo, ok in done.items()
    )
    if not done.get("child's undo") or not done.get("parent's undo"):
        raise wb.Wrong(
            "A cleanup was cut short.",
            picture=picture,
            question="Which of the cancels (✕) ended its wait, and what did `finish` do then?",
        )
    ends = {what: model.requests(f"{name} {what}")[0] for what in ("child", "parent")}
    if ends["parent"].started_at < (ends["child"].ended_at or 0):
        raise wb.Wrong(
            "The parent began its undo before the undo of its child had ended.",
            picture=picture,
            question="What did `finish` do when a cancel came while it waited for the child?",
        )
    if ingress.call(PARENT, "one_step", True) != "step":
        raise wb.Wrong("`finish` does not return the result of what it waits for.")
    try:
        ingress.call(PARENT, "one_step", False)
    except wb.IngressError as error:
        if error.status_code == 400:
            return "Five cancels, two undos, both done, the child's before the parent's."
    raise wb.Wrong(
        "`finish` does not pass on the failure of what it waits for."
        if not circles
        else "A step that has failed is tried for ever.",
        question="Which of its two lines raises when the step has failed, and who catches that?",
    )


async def _step(works: bool) -> str:
    if not works:
        raise TerminalError("no", 400)
    return "step"
