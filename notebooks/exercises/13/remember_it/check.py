"""Cancels a turn in the tool of a framework that swallows what it raises; then lets one pass."""

from typing import Any

from restate import Context, Service

import workbench as wb
from workbench.checks import fresh, settle

SERVICE = "RememberIt"


def check(my_guard: Any, bench: wb.Bench) -> str:
    _, model, admin, ingress = bench
    asked: list[str] = []
    service = Service(SERVICE)

    @service.handler()
    async def turn(ctx: Context, prompt: str) -> str:
        async def tool(what: str) -> str:
            asked.append(what)
            if not prompt:
                return await ctx.run_typed("tool", lambda: "sunny")
            return await ctx.run_typed("tool", wb.ask, prompt=prompt)

        async def run(given: Any) -> str:
            try:
                said = await given("weather")
            except Exception:
                said = "An error occurred while running the tool."
            return await ctx.run_typed("answer", lambda: f"The model makes the best of: {said}")

        return str(await fresh(my_guard)(run, tool))

    wb.serve(service)

    def end(id: str) -> str:
        settle(bench, [SERVICE])
        sql = f"SELECT completion_failure AS why, status FROM sys_invocation WHERE id = '{id}'"
        row = admin.query(sql)[0]
        return str(row.get("why") or row["status"])

    prompt = wb.new_key("remember")
    model.hold(prompt)
    id = ingress.send(SERVICE, "turn", prompt)
    model.wait_held(prompt)
    admin.cancel(id)
    seen = end(id)
    model.release(prompt)
    other = ingress.send(SERVICE, "turn", "")
    passed = end(other)
    if passed != "completed":
        raise wb.Wrong(
            f"Nobody cancelled it, and it ended so: {passed}.",
            picture=wb.lanes(admin, [("turn", other)]),
            question="How does your code know that the tool was cancelled?",
        )
    if asked[-1] != "weather":
        raise wb.Wrong(
            "Nobody cancelled it, and the tool was not told what to do.",
            question="With which arguments does `run` call the tool?",
        )
    if seen != "[409] cancelled":
        how = "as a success" if seen == "completed" else f"so: {seen}"
        raise wb.Wrong(
            f"The tool was cancelled, and the turn ended {how}.",
            picture=wb.lanes(admin, [("turn", id)]),
            question="`run` swallows what the tool raises. Who else could hear it?",
        )
    return "Swallowed by the framework, and the turn ended as cancelled; another one went through."
