"""Holds a task in its cleanup, and counts the tokens that come meanwhile."""

from typing import Any

from restate import Context, Service

import workbench as wb
from workbench.checks import settle, steps

SERVICE = "StopFirst"


def check(write: Any, bench: wb.Bench) -> str:
    _, model, admin, ingress = bench
    service = Service(SERVICE)
    begun: list[str] = []

    @service.handler("write")
    async def handler(ctx: Context, topic: str) -> str:
        run_typed = ctx.run_typed

        def noted(name: str, *args: Any, **kwargs: Any) -> Any:
            begun.append(f"{topic} {name}")
            return run_typed(name, *args, **kwargs)

        ctx.run_typed = noted  # type: ignore[method-assign]
        text: str = await write(ctx, topic, wb.ask)
        return text

    wb.serve(service)
    topic = wb.new_key("check")
    model.hold(topic, at=6)
    task = ingress.send(SERVICE, "write", topic)
    model.wait_held(f"{topic} essay")
    admin.cancel(task)
    settle(bench, [SERVICE])
    model.release(f"{topic} essay")
    settle(bench, [SERVICE])
    tokens = max(request.completion_tokens for request in model.requests(f"{topic} essay"))
    cleaned = bool(model.requests(f"{topic} cleanup"))
    model.release(topic)
    settle(bench, [SERVICE])
    if tokens > 6:
        raise wb.Wrong(
            "Tokens came while the task cleaned up.",
            picture=f"  essay  {'·' * 6}✕{'·' * (tokens - 6)}   ✕ the cancel, · a token",
            question="Which line tells the essay to stop, and which line runs before it?",
        )
    if not cleaned:
        raise wb.Wrong(
            "The cancelled task did not clean up.",
            question="Which part of the handler ran before, when it was cancelled?",
        )
    if len(steps(admin, task)) < 2:
        raise wb.Wrong(
            "The cleanup is no step: the journal does not know of it.",
            question="What would a crash in the middle of the cleanup cost?",
        )
    topic = wb.new_key("check")
    model.hold(topic, at=6)
    killed = ingress.send(SERVICE, "write", topic)
    model.wait_held(f"{topic} essay")
    admin.kill(killed)
    settle(bench, [SERVICE])
    model.release(topic)
    if [step for step in begun if topic in step] != [f"{topic} essay"]:
        raise wb.Wrong(
            "The task was killed, and its code went on to clean up.",
            question="A kill is no TerminalError. Which errors does your `except` catch?",
        )
    try:
        ingress.attach(task)
    except wb.IngressError as error:
        if error.status_code == 409:
            return "The essay stopped at token 6, and the cleanup had all the time it needed."
    raise wb.Wrong(
        "The cancelled task did not end as cancelled.", question="What does `raise` pass on?"
    )
