"""Cancels a tree of three levels, with each undo held, and opens the leaf's first."""

from typing import Any

from restate import Context, Service, TerminalError, wait_completed

import workbench as wb
from workbench.checks import settle, steps

SERVICE = "WaitForTheLeaf"
LEVELS = ("root", "middle", "leaf")


def check(my_middle: Any, bench: wb.Bench) -> str:
    _, model, admin, ingress = bench
    service = Service(SERVICE)

    @service.handler()
    async def root(ctx: Context, job: str) -> str:
        call = ctx.service_call(middle, job)
        try:
            await wait_completed(call)
            return await call
        except TerminalError:
            await wait_completed(call)
            await ctx.run_typed("undo", wb.ask, prompt=f"{job} root undo")
            raise

    @service.handler()
    async def middle(ctx: Context, job: str) -> str:
        async def undo() -> str:
            return await wb.ask(f"{job} middle undo")

        answer: str = await my_middle(ctx, job, leaf, undo)
        return answer

    @service.handler()
    async def leaf(ctx: Context, job: str) -> str:
        try:
            return await ctx.run_typed("work", wb.ask, prompt=f"{job} leaf work")
        except TerminalError:
            await ctx.run_typed("undo", wb.ask, prompt=f"{job} leaf undo")
            raise

    wb.serve(service)
    job = wb.new_key("check")
    model.hold(job)
    top = ingress.send(SERVICE, "root", job)
    model.wait_held(f"{job} leaf work")
    admin.cancel(top)
    settle(bench, [SERVICE], sleepers=False)
    middle_id = dict(_named(admin, top))["middle"]
    if "Sleep" in [row["entry"] for row in wb.journal_rows(admin, middle_id)]:
        model.release(job)
        raise wb.Wrong(
            "The middle level waits for a time, not for the end of the leaf.",
            question="What if the leaf's undo takes a second longer than that?",
        )
    lanes = wb.lanes(admin, _named(admin, top))
    too_early = _undoing(model, job) != ["leaf"]
    for level in reversed(LEVELS):
        model.release(f"{job} {level} undo")
        settle(bench, [SERVICE])
    undone = _undoing(model, job)
    model.release(job)
    settle(bench, [SERVICE])
    if "middle" not in undone:
        raise wb.Wrong(
            "The tree is over, and the middle level has undone nothing.",
            picture="  undone: " + ", ".join(undone),
            question="Did something raise before your undo, or is there none?",
        )
    if too_early:
        raise wb.Wrong(
            "The middle level undoes its work while the leaf is still at work.",
            picture=lanes,
            question="What tells the middle level that the leaf's cleanup is over?",
        )
    if not steps(admin, middle_id):
        raise wb.Wrong(
            "The undo is no step: the journal does not know of it.",
            question="What would a crash in the middle of the undo cost?",
        )
    row = admin.wait_for(middle_id, "completed")
    if row["completion_failure"] != "[409] cancelled":
        raise wb.Wrong(
            f"The middle level was cancelled, and ended {row['completion_failure'] or 'well'}.",
            question="What should its caller hear?",
        )
    return f"Undone from the bottom up: {', '.join(undone)}."


def _named(admin: Any, top: str) -> list[tuple[str, str]]:
    ids = [row["id"] for row in wb.tree_rows(admin, top)]
    return list(zip(LEVELS, ids, strict=False))


def _undoing(model: Any, job: str) -> list[str]:
    """The levels whose undo has begun, in order."""
    words = [request.label.split() for request in model.requests(f"{job} ")]
    return [word[1] for word in words if word[2] == "undo"]
