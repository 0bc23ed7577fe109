"""Breaks off two attempts while the boss thinks, then answers."""

import contextlib
from typing import Any

from restate import Context, Service

import workbench as wb
from workbench.checks import fresh, settle

SERVICE = "TellOnce"


def check(ask: Any, bench: wb.Bench) -> str:
    _, _, admin, ingress = bench
    service = Service(SERVICE)
    told: list[str] = []
    attempts: list[str] = []
    ask = fresh(ask)

    async def tell(to: str, question_id: str) -> None:
        told.append(question_id)

    @service.handler("ask")
    async def handler(ctx: Context, to: str) -> bool:
        attempts.append(to)
        yes: bool = await ask(ctx, to, tell)
        return yes

    wb.serve(service)
    task = ingress.send(SERVICE, "ask", wb.new_key("check"))
    settle(bench, [SERVICE])
    for number in (2, 3):
        wb.cut_off()
        wb.wait_until(lambda number=number: len(attempts) >= number, what="another attempt")
        settle(bench, [SERVICE])
    picture = "\n".join(f"  attempt {n}" for n in range(1, len(attempts) + 1))
    picture += f"\n  texts: {len(told)}"
    if not told:
        admin.kill(task)
        raise wb.Wrong("The boss was not told.", picture=picture)
    if len(told) > 1:
        admin.kill(task)
        raise wb.Wrong(
            f"The boss got {len(told)} texts with one question.",
            picture=picture,
            question="Which line runs again in each attempt, because no journal knows of it?",
        )
    with contextlib.suppress(wb.IngressError):  # it may be no id of an awakeable
        ingress.resolve(told[0], True)
    settle(bench, [SERVICE])
    row = admin.query(f"SELECT status FROM sys_invocation WHERE id = '{task}'", echo=False)[0]
    if row["status"] != "completed":
        admin.kill(task)
        raise wb.Wrong(
            "The boss has answered, and the task still waits.",
            question="Whose id was in the text?",
        )
    if ingress.attach(task) is not True:
        raise wb.Wrong("The boss has said yes, and the task returns something else.")
    return f"{len(attempts)} attempts, one text, one answer."
