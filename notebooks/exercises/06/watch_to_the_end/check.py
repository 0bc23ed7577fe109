"""Kills a watcher, then its task; then cancels another task's watcher before the kill."""

from typing import Any

from restate import Context, ObjectContext, Service, TerminalError, VirtualObject

import workbench as wb
from workbench.checks import EnoughError, count, settle, watched

SESSION, TASK, WATCHER = "WatchToTheEnd", "WatchToTheEndTask", "WatchToTheEndWatcher"


def check(my_watch: Any, bench: wb.Bench) -> str:
    _, model, admin, ingress = bench
    circles: set[str] = set()
    killed: set[str] = set()
    session, task, watcher = VirtualObject(SESSION), Service(TASK), Service(WATCHER)

    @session.handler()
    async def message(ctx: ObjectContext) -> str:
        id = await ctx.service_send(work, ctx.key()).invocation_id()
        ctx.set("current", id)
        ctx.set("draft", "half a page")
        return id

    @session.handler()
    async def finished(ctx: ObjectContext, task_id: str) -> None:
        if await ctx.get("current", type_hint=str) == task_id:
            ctx.clear_all()

    @task.handler()
    async def work(ctx: Context, chat: str) -> None:
        await ctx.run_typed("ask", wb.ask, prompt=f"{chat} page")

    @watcher.handler()
    async def watch(ctx: Context, job: dict[str, str]) -> None:
        asked: list[str] = []
        attach_invocation = ctx.attach_invocation

        def attach(*args: Any, **kwargs: Any) -> Any:
            count(asked)
            return watched(attach_invocation(*args, **kwargs), asked)

        ctx.attach_invocation = attach  # type: ignore[method-assign]
        try:
            await my_watch(ctx, job["session"], job["task"], finished)
        except EnoughError:
            circles.add(ctx.request().id)
            raise TerminalError("It goes round in circles.") from None

    wb.serve(session, task, watcher)
    services = [SESSION, TASK, WATCHER]

    def begin() -> tuple[str, str, str]:
        chat = wb.new_key("check")
        model.hold(chat)
        id = ingress.call(SESSION, "message", key=chat)
        watching, second = (
            ingress.send(WATCHER, "watch", {"session": chat, "task": id}) for _ in range(2)
        )
        model.wait_held(f"{chat} page")
        settle(bench, services)
        killed.add(second)
        admin.patch(f"/invocations/{second}/kill", allow={404, 409})
        return chat, id, watching

    def verdict(chat: str, id: str, watching: str, what: str) -> None:
        settle(bench, services)
        model.release(chat)
        if circles & killed:
            raise wb.Wrong(
                "A watcher was killed, and its code goes on asking for ever.",
                question="A kill is no TerminalError. Which errors does your `except` catch?",
            )
        if "current" in wb.state_of(admin, SESSION, chat):
            raise wb.Wrong(
                f"{what}, and the session is busy for ever.",
                picture=wb.lanes(admin, [("task", id), ("watcher", watching)]),
                question="What did the watcher's wait raise, and who went on after that?",
            )

    chat, id, watching = begin()
    if "current" not in wb.state_of(admin, SESSION, chat):
        model.release(chat)
        raise wb.Wrong(
            "The watcher reported a task that is still at work.",
            picture=wb.lanes(admin, [("task", id), ("watcher", watching)]),
            question="What does the watcher wait for?",
        )
    admin.kill(id)
    verdict(chat, id, watching, "The task was killed")

    chat, id, watching = begin()
    for _ in range(3):
        admin.patch(f"/invocations/{watching}/cancel", allow={404, 409})
        settle(bench, services)
    if "current" not in wb.state_of(admin, SESSION, chat):
        picture = wb.lanes(admin, [("task", id), ("watcher", watching)])
        model.release(chat)
        raise wb.Wrong(
            "The watcher was cancelled, and reported a task that is still at work.",
            picture=picture,
            question="Whose end did your `except` take for the task's?",
        )
    admin.kill(id)
    verdict(chat, id, watching, "The watcher was cancelled, then the task was killed")
    chat, id, watching = begin()
    admin.cancel(id)
    try:
        verdict(chat, id, watching, "The task was cancelled")
    finally:
        admin.patch(f"/invocations/{watching}/kill", allow={404, 409})
    return "Killed, even with its watcher cancelled before: no draft, and the session is free."
