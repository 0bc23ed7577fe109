"""Sends four messages to an agent with this `finished`, each after the report of the one before."""

from typing import Any

from restate import Context, ObjectContext, Service, VirtualObject, wait_completed

import workbench as wb
from workbench.checks import settle

AGENT, TASK = "ThreeMessagesAgent", "ThreeMessagesTask"


def check(finished: Any, bench: wb.Bench) -> str:
    _, model, admin, ingress = bench
    agent, task = VirtualObject(AGENT), Service(TASK)

    @agent.handler()
    async def message(ctx: ObjectContext, text: str) -> str:
        if current := await ctx.get("current", type_hint=str):
            ctx.cancel_invocation(current)
            await wait_completed(ctx.attach_invocation(current))
        sent = ctx.service_send(work, {"session": ctx.key(), "text": text})
        ctx.set("current", await sent.invocation_id())
        return await sent.invocation_id()

    agent.handler("finished")(finished)

    @task.handler()
    async def work(ctx: Context, job: dict[str, str]) -> str:
        try:
            return await ctx.run_typed("ask the model", wb.ask, prompt=job["text"])
        finally:
            ctx.generic_send(AGENT, "finished", _json(ctx.request().id), key=job["session"])

    wb.serve(agent, task)
    chat = wb.new_key("check")
    model.hold(chat)
    tasks = []
    for number in range(1, 5):
        tasks.append(ingress.call(AGENT, "message", f"{chat} message {number}", key=chat))
        settle(bench, [AGENT, TASK])
    picture = wb.lanes(admin, [(f"task {n}", id) for n, id in enumerate(tasks, 1)])
    at_work = sum(line.endswith("running") for line in picture.splitlines())
    model.release(chat)
    settle(bench, [AGENT, TASK])
    if at_work > 1:
        raise wb.Wrong(
            "Two tasks of one session are at work.",
            picture=picture,
            question="Whose id did the report of task 1 clear?",
        )
    if wb.state_of(admin, AGENT, chat).get("current"):
        raise wb.Wrong(
            "All tasks have ended, and the session still names a current one.",
            question="Which report should have cleared it?",
        )
    return "A late report can no longer clear another task's id."


def _json(text: str) -> bytes:
    return f'"{text}"'.encode()
