"""Cancels a task in the middle of its essay, and reads the error that it ends with."""

from typing import Any

from restate import Context, Service

import workbench as wb
from workbench.checks import settle

SERVICE = "KeepPartial"


def check(write: Any, bench: wb.Bench) -> str:
    _, model, admin, ingress = bench
    service = Service(SERVICE)

    @service.handler("write")
    async def handler(ctx: Context, topic: str) -> str:
        text: str = await write(ctx, topic, wb.ask)
        return text

    wb.serve(service)
    topic = wb.new_key("check")
    if not str(ingress.call(SERVICE, "write", topic, timeout=10)).startswith("You said"):
        raise wb.Wrong("A task that nobody cancels does not return its essay.")
    mark = model.mark()
    model.hold(topic, at=6)
    task = ingress.send(SERVICE, "write", topic)
    model.wait_held(f"{topic} essay")
    admin.cancel(task)
    settle(bench, [SERVICE])
    model.release(topic)
    settle(bench, [SERVICE])
    tokens = max(request.completion_tokens for request in model.requests(topic, after=mark))
    if tokens > 6:
        raise wb.Wrong(
            "The essay went on after the cancel.",
            picture=f"  essay  {'·' * 6}✕{'·' * (tokens - 6)}   ✕ the cancel, · a token",
            question="Who tells `ask` to stop?",
        )
    try:
        ingress.attach(task)
    except wb.IngressError as error:
        partial = error.metadata.get("partial", "")
        if (error.status_code, error.message) != (409, "cancelled"):
            raise wb.Wrong(
                f"The task ended with [{error.status_code}] {error.message}.",
                question="How does a cancelled task end, for those who wait for it?",
            ) from None
    else:
        raise wb.Wrong(
            "The cancelled task ended as a success.",
            question="How does whoever waits for it know that the text is not whole?",
        )
    if not partial.startswith(f"You said: {topic}"):
        raise wb.Wrong(
            "The task's error holds no partial text.",
            picture=f"  metadata: {error_metadata(ingress, task)}",
            question="What does `essay` give you after a cancel has cut its `await` short?",
        )
    if not all(row["done"] for row in wb.journal_rows(admin, task) if row["entry"] == "Run"):
        raise wb.Wrong(
            "The partial text came from memory: the journal has no result of the essay.",
            question="What would a crash before the `raise` have left of it?",
        )
    return f"6 tokens were paid for, and whoever waits for the task can read them: {partial!r}."


def error_metadata(ingress: wb.Ingress, task: str) -> dict[str, str]:
    try:
        ingress.attach(task)
    except wb.IngressError as error:
        return error.metadata
    return {}
