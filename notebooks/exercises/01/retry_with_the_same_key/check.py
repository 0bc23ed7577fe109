"""Loses the first answer of a client, and counts the turns; then has it say the same again."""

from typing import Any

from restate import ObjectContext, VirtualObject

import workbench as wb

SERVICE = "RetryWithTheSameKey"


def check(send: Any, bench: wb.Bench) -> str:
    _, _, admin, ingress = bench
    session = VirtualObject(SERVICE)

    @session.handler()
    async def message(ctx: ObjectContext, text: str) -> int:
        turns = [*(await ctx.get("turns", type_hint=list) or []), text]
        ctx.set("turns", turns)
        return len(turns)

    wb.serve(session)
    chat = wb.new_key("check")
    losses = [True, True]

    def post(text: str, idempotency_key: str | None = None) -> Any:
        key = idempotency_key and f"{chat}-{idempotency_key}"
        reply = ingress.call(SERVICE, "message", text, key=chat, idempotency_key=key)
        if losses and losses.pop():
            raise ConnectionError("the answer was lost")
        return reply

    def turns() -> list[str]:
        found: list[str] = wb.state_of(admin, SERVICE, chat)["turns"]
        return found

    reply = send(post, "yes")
    if len(turns()) > 1:
        raise wb.Wrong(
            "One message became two turns.",
            picture="\n".join(f"  turn {n}: {text}" for n, text in enumerate(turns(), 1)),
            question="How could Restate know that the second request was a repeat?",
        )
    if reply != 1:
        raise wb.Wrong(f"Two answers were lost, the third came; `my_send` returned {reply!r}.")
    send(post, "yes")
    if len(turns()) < 2:
        raise wb.Wrong(
            "Two messages became one turn.",
            picture="\n".join(f"  turn {n}: {text}" for n, text in enumerate(turns(), 1)),
            question="The user said yes twice, and meant it. What should differ?",
        )
    return "A lost answer costs nothing, and two messages are still two."
