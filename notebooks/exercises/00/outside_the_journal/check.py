"""Breaks off the attempt in the third model call, and counts what is asked for again."""

from collections import Counter
from typing import Any

from restate import Context, Service

import workbench as wb
from workbench.checks import steps

SERVICE = "OutsideTheJournal"


def check(report: Any, bench: wb.Bench) -> str:
    _, model, _, ingress = bench
    service = Service(SERVICE)

    @service.handler("report")
    async def handler(ctx: Context, topic: str) -> str:
        written: str = await report(ctx, topic, wb.ask)
        return written

    wb.serve(service)
    topic = wb.new_key("report")
    model.hold(f"{topic} check")
    sent = ingress.send(SERVICE, "report", topic)
    model.wait_held(f"{topic} check", timeout=4)
    wb.cut_off()
    model.release(f"{topic} check")
    ingress.attach(sent, timeout=5)
    words = [request.label.split()[1].rstrip(":") for request in model.requests(topic)]
    asked = Counter(words)
    again = [step for step in ("outline", "text") if asked[step] > 1]
    if again:
        raise wb.Wrong(
            f"After the crash, these were asked for again: {', '.join(again)}.",
            picture="\n".join(f"  {step:<8} {'█' * count}" for step, count in asked.items()),
            question="Which calls does the journal know, one by one?",
        )
    taken = steps(bench.admin, sent)
    if set(asked) != {"outline", "text", "check"} or len(taken) != 3:
        raise wb.Wrong(
            "Three model calls have to be three steps.",
            picture=f"  calls: {', '.join(asked)}; steps: {', '.join(taken)}",
            question="What would a crash in the second call cost?",
        )
    return f"Only the call in flight was made again: {dict(asked)}."
