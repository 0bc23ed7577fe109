"""The model's routes, and how a request is answered: token by token, until the client hangs up.

- `POST /v1/chat/completions`: as OpenAI's; any model name and any key are accepted, no key is
  refused.
- `GET /control/requests?prefix=&after=`: the requests so far (`requests.py`).
- `PATCH /control/settings`: change the rate (`pace.py`).
- `PUT /control/fault`, `DELETE /control/fault`: make requests fail, and mend (`faults.py`).
- `POST /control/gates`, `DELETE /control/gates?match=`: hold answers, and release (`pace.py`).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import asdict

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from workbench.scripted_model.answers import Answer, Answers, answer_to, last_user_text, step_of
from workbench.scripted_model.faults import Fault, drop_connection
from workbench.scripted_model.openai_format import (
    ApiError,
    ChatRequest,
    Completion,
    check_headers,
    parse,
    tokens,
)
from workbench.scripted_model.pace import Gate, Gates, Settings, disconnected, paced
from workbench.scripted_model.requests import ModelRequest, RequestLog

_PROMPT = 200  # characters that a record keeps of one


def create_app() -> Starlette:
    """Put the routes of one model together."""
    chat = ChatCompletions()
    control = Control(chat)
    return Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/control/requests", control.list_requests, methods=["GET"]),
            Route("/control/settings", control.change_settings, methods=["PATCH"]),
            Route("/control/fault", control.put_fault, methods=["PUT"]),
            Route("/control/fault", control.mend, methods=["DELETE"]),
            Route("/control/answers", control.answer, methods=["POST"]),
            Route("/control/gates", control.hold, methods=["POST"]),
            Route("/control/gates", control.release, methods=["DELETE"]),
        ],
        exception_handlers={ApiError: _answer_api_error, HTTPException: _answer_http_error},
    )


async def _answer_api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body, status_code=error.status, headers=error.headers)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    """Turn the router's own 404 and 405 into OpenAI's shape."""
    assert isinstance(error, HTTPException)
    where = f"{request.method} {request.url.path}"
    message = f"Invalid URL ({where})" if error.status_code == 404 else f"{where}: {error.detail}"
    return await _answer_api_error(
        request, ApiError(error.status_code, message, headers=error.headers)
    )


class ChatCompletions:
    """The endpoint, as a plain ASGI app: it must see the disconnect event while it is sending."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.fault: Fault | None = None
        self.gates = Gates()
        self.answers = Answers()
        self.log = RequestLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        record = self.log.open(request.headers.get("x-client-request-id", ""))
        try:
            check_headers(request)
            chat = parse(ChatRequest, await request.body())
            record.step, record.model = step_of(chat.messages), chat.model
            record.prompt = last_user_text(chat.messages).partition("\n")[0][:_PROMPT]
            record.prompt_tokens = chat.prompt_tokens
            fault = self._take_fault(record.label, last_user_text(chat.messages))
            if fault and (refusal := fault.refusal(request.headers["authorization"])):
                raise refusal
        except ApiError as error:
            record.http_status = error.status
            record.end("refused")
            raise
        except ClientDisconnect:
            record.end("hung up")
            return

        gone = asyncio.create_task(disconnected(receive))
        try:
            if fault and fault.kind == "refuse":
                record.end("refused")
                drop_connection(scope)
                await gone
            else:
                await self._reply(chat, fault, record, send, gone)
        finally:
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone

    def _take_fault(self, label: str, prompt: str) -> Fault | None:
        """Return what this request is to suffer."""
        fault = self.fault
        if fault is None or not fault.hits(label, prompt):
            return None
        self.fault = fault.once_less()
        return fault

    async def _reply(
        self,
        chat: ChatRequest,
        fault: Fault | None,
        record: ModelRequest,
        send: Send,
        gone: asyncio.Task[None],
    ) -> None:
        """Send one answer, token by token, until it is complete or the client hangs up."""
        kind = fault.kind if fault else None
        completion = Completion(chat)
        request = f"{record.label}\n{last_user_text(chat.messages)}"
        answer = self.answers.find(request) or answer_to(chat.messages, chat.tool)
        pieces = tokens(answer)
        if kind == "empty":
            pieces = []
        elif fault and kind == "cut":
            pieces = pieces[: fault.after_tokens]

        record.http_status = 200
        content_type = b"text/event-stream; charset=utf-8" if chat.stream else b"application/json"
        headers = [(b"content-type", content_type), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        events = completion.role() if chat.stream else b""
        sent = 0
        if kind == "hang":
            await gone
        async for due in paced(len(pieces), self.settings, gone, self.gates, request):
            if chat.stream:
                events += b"".join(completion.token(piece) for piece in pieces[sent : sent + due])
                await send({"type": "http.response.body", "body": events, "more_body": True})
                events = b""
            sent += due
            record.count_sent(due)

        # The record is closed before the last bytes leave: who has them finds it closed.
        if gone.done():
            record.end("hung up")
        elif kind == "cut":
            # Returning without a last body makes the server close the connection in mid-stream.
            record.end("cut")
        else:
            record.end("completed")
            if chat.stream:
                events += completion.finish(sent)
            else:
                events = completion.whole("".join(pieces), sent)
            await send({"type": "http.response.body", "body": events})


class Control:
    """Routes for the workbench: read the records, change settings and faults."""

    def __init__(self, chat: ChatCompletions) -> None:
        self._chat = chat

    async def list_requests(self, request: Request) -> Response:
        prefix = request.query_params.get("prefix", "")
        after = request.query_params.get("after", "0")
        if not after.isdecimal():
            raise ApiError(400, f"after={after!r} is not the number of a request.")
        found = self._chat.log.requests(prefix, int(after))
        return JSONResponse([asdict(each) for each in found])

    async def change_settings(self, request: Request) -> Response:
        # Checked as a whole before any of it is applied to the settings that are in use.
        changed = parse(Settings, await request.body(), hint=_fields(Settings))
        for name in changed.model_fields_set:
            setattr(self._chat.settings, name, getattr(changed, name))
        return JSONResponse(self._chat.settings.model_dump())

    async def put_fault(self, request: Request) -> Response:
        self._chat.fault = parse(Fault, await request.body(), hint=_fields(Fault))
        return JSONResponse(self._chat.fault.model_dump())

    async def mend(self, request: Request) -> Response:
        self._chat.fault = None
        return Response(status_code=204)

    async def answer(self, request: Request) -> Response:
        self._chat.answers.add(parse(Answer, await request.body(), hint=_fields(Answer)))
        return Response(status_code=204)

    async def hold(self, request: Request) -> Response:
        gate = parse(Gate, await request.body(), hint=_fields(Gate))
        self._chat.gates.hold(gate)
        return JSONResponse(gate.model_dump())

    async def release(self, request: Request) -> Response:
        self._chat.gates.release(request.query_params.get("match", ""))
        return Response(status_code=204)


def _fields(model: type[BaseModel]) -> str:
    return f" The fields are: {', '.join(model.model_fields)}."
