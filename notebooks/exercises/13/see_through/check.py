"""Cancels a turn whose framework wraps what it catches: not at all, once, twice; then breaks it."""

from typing import Any

from restate import Context, Service

import workbench as wb
from workbench.checks import fresh, settle, steps

SERVICE = "SeeThrough"
WRAPS = ["no wraps", "one wrap", "two wraps"]


class FrameworkError(Exception):
    """What a framework raises in place of what it caught."""


async def wrapped(action: Any, depth: int) -> str:
    """Run `action` as a framework does that wraps errors, this often."""
    if depth == 0:
        return str(await action())
    try:
        return await wrapped(action, depth - 1)
    except Exception as error:
        raise FrameworkError("the tool failed") from error


def check(my_turn: Any, bench: wb.Bench) -> str:
    _, model, admin, ingress = bench
    broken: set[str] = set()
    service = Service(SERVICE)

    def undo() -> None:
        """Nothing: the journal says that it ran."""

    @service.handler()
    async def turn(ctx: Context, job: dict[str, Any]) -> str:
        async def action() -> str:
            if not job["breaks"]:
                return await ctx.run_typed("tool", wb.ask, prompt=job["prompt"])
            if job["prompt"] not in broken:
                broken.add(job["prompt"])
                raise ValueError("a bug, once")
            return "done"

        return str(await fresh(my_turn)(ctx, lambda: wrapped(action, job["depth"]), undo))

    wb.serve(service)

    def start(depth: int, *, breaks: bool) -> str:
        prompt = wb.new_key("see")
        if not breaks:
            model.hold(prompt)
        job = {"prompt": prompt, "depth": depth, "breaks": breaks}
        id = ingress.send(SERVICE, "turn", job)
        if not breaks:
            model.wait_held(prompt)
            admin.cancel(id)
        settle(bench, [SERVICE])
        model.release(prompt)
        return id

    def end(id: str) -> str:
        sql = f"SELECT completion_failure AS why, status FROM sys_invocation WHERE id = '{id}'"
        row = admin.query(sql)[0]
        return str(row.get("why") or row["status"])

    for depth, name in enumerate(WRAPS):
        id = start(depth, breaks=False)
        picture = f"  {' · '.join(steps(admin, id))}   {end(id)}"
        if "undo" not in steps(admin, id):
            raise wb.Wrong(
                f"Cancelled inside {name}, and nothing is undone.",
                picture=picture,
                question="The error was raised from another, and that perhaps from another. "
                "How do you get to the first?",
            )
        if end(id) != "[409] cancelled":
            how = "as a success" if end(id) == "completed" else f"so: {end(id)}"
            raise wb.Wrong(
                f"Cancelled inside {name}, and the turn ended {how}.",
                picture=picture,
                question="Who has to learn that the turn was cancelled, and how do they?",
            )
    id = start(1, breaks=True)
    if "undo" in steps(admin, id):
        raise wb.Wrong(
            "An ordinary error was undone, though Restate was to try again.",
            picture=f"  {' · '.join(steps(admin, id))}   {end(id)}",
            question="What is there in the chain of an error that a cancel has caused, and only "
            "there?",
        )
    return "Undone under every wrap, and a bug is tried again, not undone."
