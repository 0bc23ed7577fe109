"""Frees a session that has more in its state than the lesson's."""

from typing import Any

from restate import ObjectContext, VirtualObject

import workbench as wb
from workbench.checks import settle

SERVICE = "FreeTheSession"
HELD = {"current": "inv_dead", "draft": "# bees"}
OWN = {"topic": "bees", "language": "en", wb.new_key("note"): "more"}


def check(my_free: Any, bench: wb.Bench) -> str:
    _, _, admin, ingress = bench
    session = VirtualObject(SERVICE)

    @session.handler()
    async def prepare(ctx: ObjectContext) -> None:
        for key, value in {**HELD, **OWN}.items():
            ctx.set(key, value)

    wb.serve(session)
    chat = wb.new_key("check")
    ingress.call(SERVICE, "prepare", key=chat)
    before = {row["key"]: row["value"] for row in wb.state_rows(admin, SERVICE, chat)}
    my_free(admin, SERVICE, chat)
    settle(bench, [SERVICE])
    after = {row["key"]: row["value"] for row in wb.state_rows(admin, SERVICE, chat)}
    picture = "\n".join(f"  {key:<10} {before[key]:<12} {after.get(key, '–')}" for key in before)
    if left := sorted(HELD.keys() & after.keys()):
        raise wb.Wrong(
            f"The session still has: {', '.join(left)}.",
            picture=picture,
            question="What did the dead task hold?",
        )
    if lost := sorted(OWN.keys() - after.keys()):
        raise wb.Wrong(
            f"The session is free, and has lost {len(lost)} of its {len(OWN)} own values.",
            picture=picture,
            question="The request replaces the whole state. Was everything in it that should stay?",
        )
    if changed := sorted(key for key in OWN if before[key] != after[key]):
        raise wb.Wrong(
            f"The session is free, and these values have changed: {', '.join(changed)}.",
            picture=picture,
            question="A value is JSON as text. Did you send back what you read?",
        )
    return "The session is free, and all that was its own is still there."
