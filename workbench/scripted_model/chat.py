"""`POST /v1/chat/completions`: from a request's arrival to the fault or the answer that it gets."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from workbench.scripted_model import answers
from workbench.scripted_model.access import authenticate, check_label
from workbench.scripted_model.connection import drop_connection
from workbench.scripted_model.errors import ApiError
from workbench.scripted_model.faults import FaultBox
from workbench.scripted_model.pacing import disconnected
from workbench.scripted_model.records import RequestLog
from workbench.scripted_model.reply import reply
from workbench.scripted_model.settings import Settings
from workbench.scripted_model.wire import parse


class ChatCompletions:
    """The endpoint, as a plain ASGI app: it must see the disconnect event while it is sending."""

    def __init__(self, settings: Settings, faults: FaultBox, log: RequestLog) -> None:
        self._settings = settings
        self._faults = faults
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        label = request.headers.get("x-client-request-id", "")
        record = self._log.open(label)
        try:
            authenticate(request)
            check_label(label)
            chat = parse(await request.body())
            record.understood(answers.step_of(chat.messages), chat.prompt_tokens)
            fault = self._faults.take(label, answers.last_user_text(chat.messages))
            authorization = request.headers["authorization"]
            if fault and (refusal := fault.refusal(authorization)):
                raise refusal
        except ApiError as error:
            record.answering(error.status)
            record.ended("refused")
            raise
        except ClientDisconnect:
            record.ended("hung up")
            return

        gone = asyncio.create_task(disconnected(receive))
        try:
            if fault and fault.kind == "refuse":
                record.ended("refused")
                drop_connection(scope)
                await gone
            else:
                answer = answers.answer_to(chat.messages)
                await reply(chat, answer, fault, self._settings, record, send, gone)
        finally:
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone
