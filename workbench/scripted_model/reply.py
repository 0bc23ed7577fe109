"""Sending one answer, token by token, until it is complete or the client hangs up."""

from __future__ import annotations

import asyncio

from starlette.types import Message, Send

from workbench.scripted_model import tokens
from workbench.scripted_model.faults import Fault
from workbench.scripted_model.pacing import paced
from workbench.scripted_model.records import Record
from workbench.scripted_model.settings import Settings
from workbench.scripted_model.wire import DONE, ChatRequest, Completion


async def reply(
    chat: ChatRequest,
    answer: str,
    fault: Fault | None,
    settings: Settings,
    record: Record,
    send: Send,
    gone: asyncio.Task[None],
) -> None:
    kind = fault.kind if fault else None
    completion = Completion(chat)
    pieces, reason = chat.limit(tokens.split(answer))
    if kind == "empty":
        pieces = []
    elif fault and kind == "cut":
        pieces = pieces[: fault.after_tokens]

    record.answering(200)
    await send(_start("text/event-stream; charset=utf-8" if chat.stream else "application/json"))
    events = completion.role() if chat.stream else b""
    sent = 0
    if kind == "hang":
        await gone
    async for due in paced(len(pieces), settings, gone):
        if chat.stream:
            events += b"".join(completion.token(piece) for piece in pieces[sent : sent + due])
            await send(_body(events))
            events = b""
        sent += due
        record.sent(due)

    # The record is closed before the last bytes leave: whoever has them finds it closed.
    if gone.done():
        record.ended("hung up")
    elif kind == "cut":
        # Returning without a last body makes the server close the connection in mid-stream.
        record.ended("cut")
    else:
        record.ended("completed")
        if chat.stream:
            events += completion.finish(reason)
            if chat.wants_usage:
                events += completion.usage(sent)
            events += DONE
        else:
            events = completion.whole("".join(pieces), reason, sent)
        await send(_body(events, more=False))


def _start(content_type: str) -> Message:
    headers = [(b"content-type", content_type.encode()), (b"cache-control", b"no-cache")]
    return {"type": "http.response.start", "status": 200, "headers": headers}


def _body(data: bytes, *, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}
