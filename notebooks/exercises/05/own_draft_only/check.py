"""Rolls turn 1 back while turn 2 drafts, then turn 2, then turn 2 again."""

from typing import Any

from restate import ObjectContext, VirtualObject

import workbench as wb

SERVICE = "OwnDraftOnly"


def check(rollback: Any, bench: wb.Bench) -> str:
    _, _, admin, ingress = bench
    desk = VirtualObject(SERVICE)

    @desk.handler("draft")
    async def draft(ctx: ObjectContext, page: dict[str, Any]) -> None:
        ctx.set("draft", page)

    @desk.handler("rollback")
    async def handler(ctx: ObjectContext, turn: int) -> None:
        await rollback(ctx, turn)

    wb.serve(desk)
    key = wb.new_key("check")
    seen = list[str]()

    def draft_after(turn: int) -> Any:
        _call(bench, key, turn)
        left = wb.state_of(admin, SERVICE, key).get("draft")
        seen.append(f"  rollback of turn {turn} → {left or 'no draft'}")
        return left

    for turn in (1, 2):
        ingress.call(SERVICE, "draft", {"turn": turn, "text": "a list"}, key=key)
        seen.append(f"  draft of turn {turn}")
    if not draft_after(1):
        raise wb.Wrong(
            "The rollback of turn 1 has dropped the draft of turn 2.",
            picture="\n".join(seen),
            question="How can a rollback tell whose draft it finds?",
        )
    if draft_after(2):
        raise wb.Wrong(
            "A turn was rolled back, and its draft is still there.",
            picture="\n".join(seen),
            question="For which turn is your condition true?",
        )
    draft_after(2)
    ingress.call(SERVICE, "draft", {"turn": 2, "text": "a list"}, key=key)
    if not draft_after(3):
        raise wb.Wrong(
            "The rollback of turn 3 has dropped the draft of turn 2.", picture="\n".join(seen)
        )
    return "A late rollback can drop no draft but its own, and may come twice."


def _call(bench: wb.Bench, key: str, turn: int) -> None:
    sent = bench.ingress.send(SERVICE, "rollback", turn, key=key)

    def look() -> bool:
        row = bench.admin.query(
            f"SELECT status, retry_count FROM sys_invocation WHERE id = '{sent}'", echo=False
        )[0]
        if (row.get("retry_count") or 0) > 1:
            bench.admin.kill(sent)
            raise wb.Wrong(
                "A rollback without a draft fails.",
                question="What does `ctx.get` give when there is nothing under this name?",
            )
        return bool(row["status"] == "completed")

    wb.wait_until(look, what="the rollback")
