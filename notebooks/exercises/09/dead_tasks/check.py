"""Four sessions: a task at work, one killed, one killed and purged, and no task."""

from typing import Any

from restate import Context, ObjectContext, Service, VirtualObject

import workbench as wb
from workbench.checks import settle

SESSION, TASK = "DeadTasks", "DeadTasksTask"
STORIES = ["is at work", "was killed", "was killed and purged", "has ended"]


def check(my_sessions: Any, bench: wb.Bench) -> str:
    _, _, admin, ingress = bench
    session, task = VirtualObject(SESSION), Service(TASK)

    @task.handler()
    async def work(ctx: Context) -> None:
        await ctx.awakeable()[1]

    @session.handler()
    async def message(ctx: ObjectContext) -> str:
        id = await ctx.service_send(work, None).invocation_id()
        ctx.set("current", id)
        return id

    @session.handler()
    async def finished(ctx: ObjectContext) -> None:
        ctx.clear("current")

    wb.serve(session, task)
    chats = {story: wb.new_key("check") for story in STORIES}
    ids = {story: ingress.call(SESSION, "message", key=chat) for story, chat in chats.items()}
    settle(bench, [SESSION, TASK])
    for story in STORIES[1:]:
        admin.kill(ids[story])
    settle(bench, [SESSION, TASK])
    admin.patch(f"/invocations/{ids['was killed and purged']}/purge")
    ingress.call(SESSION, "finished", key=chats["has ended"])
    wb.wait_until(
        lambda: not admin.query(f"SELECT id FROM sys_invocation WHERE id = '{ids[STORIES[2]]}'"),
        what="the purge",
    )
    found = my_sessions(admin, SESSION)
    picture = "\n".join(
        f"  {'found' if chat in found else '–':<6} its task {story}"
        for story, chat in chats.items()
    )
    for story, dead in zip(STORIES, [False, True, True, False], strict=True):
        if dead and chats[story] not in found:
            raise wb.Wrong(
                f"A session whose task {story} is not found.",
                picture=picture,
                question="What is there of its task in `sys_invocation`, and what does your "
                "query do with that?",
            )
        if not dead and chats[story] in found:
            raise wb.Wrong(
                f"A session whose task {story} would be freed.",
                picture=picture,
                question="Which column says that a task is over?",
            )
    return "Found are the two whose task is dead, even where no record of it is left."
