"""Interrupts a task that waits for a yes, once and twice; then has a yes and a no come through."""

from typing import Any

from restate import Context, ObjectContext, Service, VirtualObject

import workbench as wb
from workbench.checks import settle

INBOX, MAILER = "WithdrawTheQuestionInbox", "WithdrawTheQuestion"


def check(my_mail: Any, bench: wb.Bench) -> str:
    _, model, admin, ingress = bench
    inbox, mailer = VirtualObject(INBOX), Service(MAILER)
    sent: list[str] = []

    @inbox.handler()
    async def put(ctx: ObjectContext, question_id: str) -> None:
        ctx.set(question_id, "May I?")

    @inbox.handler()
    async def withdraw(ctx: ObjectContext, question_id: str) -> None:
        ctx.clear(question_id)

    @inbox.handler()
    async def busy(ctx: ObjectContext) -> None:
        await ctx.run_typed("busy", wb.ask, prompt=f"{ctx.key()} busy")

    @mailer.handler()
    async def mail(ctx: Context, to: str) -> None:
        async def send(whom: str) -> None:
            await ctx.run_typed("send", post, to=whom)

        await my_mail(ctx, to, put, withdraw, send)

    async def post(to: str) -> None:
        sent.append(to)

    wb.serve(inbox, mailer)

    def begin() -> tuple[str, str, str]:
        to = wb.new_key("check")
        task = ingress.send(MAILER, "mail", to)
        settle(bench, [INBOX, MAILER])
        asked = wb.state_of(admin, INBOX, to)
        if not asked:
            raise wb.Wrong("The boss was not asked.", picture=wb.lanes(admin, [("task", task)]))
        return to, task, next(iter(asked))

    def cancel(task: str) -> None:
        admin.patch(f"/invocations/{task}/cancel", allow={404, 409})
        settle(bench, [INBOX, MAILER])

    def end(task: str) -> str:
        row = admin.query(
            f"SELECT status, completion_failure AS why FROM sys_invocation WHERE id = '{task}'",
            echo=False,
        )[0]
        return (row.get("why") or "success") if row["status"] == "completed" else "not over"

    def judge_interrupted(to: str, task: str, how: str) -> None:
        picture = wb.lanes(admin, [("task", task)])
        if to in sent:
            raise wb.Wrong(
                f"The task was {how}, and the mail is out.",
                picture=picture,
                question="After the withdrawal, which line runs next?",
            )
        if wb.state_of(admin, INBOX, to):
            raise wb.Wrong(
                f"The task was {how}, and its question is still in the inbox.",
                picture=picture,
                question="What became of your withdrawal when the interruption came?",
            )
        if end(task) != "[409] cancelled":
            raise wb.Wrong(
                f"The task was {how}, and its record says {end(task)}.",
                picture=picture,
                question="Who tells Restate that this task was cancelled?",
            )

    to, task, _ = begin()
    cancel(task)
    judge_interrupted(to, task, "interrupted")

    to, task, _ = begin()
    model.hold(f"{to} busy")
    ingress.send(INBOX, "busy", key=to)
    model.wait_held(f"{to} busy")
    cancel(task)
    cancel(task)
    model.release(f"{to} busy")
    settle(bench, [INBOX, MAILER])
    judge_interrupted(to, task, "interrupted twice")

    for yes in (True, False):
        to, task, asked = begin()
        ingress.resolve(asked, yes)
        settle(bench, [INBOX, MAILER])
        picture = wb.lanes(admin, [("task", task)])
        if yes and to not in sent:
            raise wb.Wrong("The boss has said yes, and no mail is out.", picture=picture)
        if not yes and to in sent:
            raise wb.Wrong("The boss has said no, and the mail is out.", picture=picture)
    return "Interrupted once or twice: no mail, and no question that nobody waits for."
