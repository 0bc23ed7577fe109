"""Sends a second message while the first task's cleanup is held open."""

from typing import Any

from restate import Context, ObjectContext, Service, TerminalError, VirtualObject

import workbench as wb
from workbench.checks import settle

AGENT, TASK = "CancelAndWaitAgent", "CancelAndWaitTask"


def check(message: Any, bench: wb.Bench) -> str:
    _, model, admin, ingress = bench
    agent, task = VirtualObject(AGENT), Service(TASK)

    @agent.handler("message")
    async def handler(ctx: ObjectContext, text: str) -> str:
        answer: str = await message(ctx, text, work)
        return answer

    @task.handler()
    async def work(ctx: Context, job: dict[str, str]) -> str:
        try:
            return await ctx.run_typed("ask the model", wb.ask, prompt=job["text"])
        except TerminalError:
            await ctx.run_typed("clean up", wb.ask, prompt=f"{job['text']} cleanup")
            raise

    wb.serve(agent, task)
    chat = wb.new_key("check")
    model.hold(chat)
    first = ingress.call(AGENT, "message", f"{chat} first", key=chat)
    model.wait_held(f"{chat} first")
    second = ingress.send(AGENT, "message", f"{chat} second", key=chat)
    settle(bench, [AGENT, TASK])
    tasks = admin.query(
        f"SELECT id FROM sys_invocation WHERE target_service_name = '{TASK}' "
        f"AND invoked_by_id IN (SELECT id FROM sys_invocation WHERE target_service_key = '{chat}') "
        "ORDER BY created_at",
        echo=False,
    )
    picture = wb.lanes(admin, [(f"task {n}", row["id"]) for n, row in enumerate(tasks, 1)])
    told = bool(model.requests(f"{chat} first cleanup"))
    timed = "Sleep" in [row["entry"] for row in wb.journal_rows(admin, second)]
    model.release(chat)
    settle(bench, [AGENT, TASK])
    if not told:
        raise wb.Wrong(
            "Task 1 was never told to stop.",
            picture=picture,
            question="Which line of `message` did that, before you changed it?",
        )
    if len(tasks) > 1:
        raise wb.Wrong(
            "Task 2 is at work while task 1 still cleans up.",
            picture=picture,
            question="What tells `message` that task 1 has ended?",
        )
    if timed:
        raise wb.Wrong(
            "`message` waits for a time, not for the end of task 1.",
            question="What if the cleanup takes a second longer than that?",
        )
    try:
        ingress.attach(second)
    except wb.IngressError as error:
        raise wb.Wrong(
            f"Message 2 failed with [{error.status_code}] {error.message}.",
            question=f"Task 1 ({first[:8]}…) was cancelled. Should `message` fail because of that?",
        ) from None
    if not model.requests(f"{chat} second"):
        raise wb.Wrong("Message 2 began no task.")
    return "The old task has cleaned up before the new one begins."
