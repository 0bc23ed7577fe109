"""Faults on demand: what the next requests are to suffer instead of an answer."""

from __future__ import annotations

import os
import socket
from typing import Literal

import psutil
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator
from starlette.types import Scope

from workbench.scripted_model.openai_format import ApiError

FaultKind = Literal[
    "outage",  # 503
    "server_error",  # 500
    "rate_limit",  # 429, with Retry-After
    "unauthorized",  # 401
    "forbidden",  # 403
    "not_found",  # 404
    "bad_request",  # 400
    "unprocessable",  # 422
    "cut",  # the connection is closed in the middle of the stream
    "empty",  # 200, and a stream without content
    "hang",  # 200, and then nothing until the client hangs up
    "refuse",  # the connection is closed before any answer
]

# kind: (status, type, code, message), in the words that OpenAI uses.
REFUSALS: dict[str, tuple[int, str, str | None, str]] = {
    "outage": (503, "server_error", None, "The engine is currently overloaded, please try later."),
    "server_error": (500, "server_error", None, "The server had an error, please retry."),
    "rate_limit": (429, "requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    "unauthorized": (401, "invalid_request_error", "invalid_api_key", "Incorrect API key."),
    "forbidden": (403, "invalid_request_error", None, "This key may not use this model."),
    "not_found": (404, "invalid_request_error", "model_not_found", "The model does not exist."),
    "bad_request": (400, "invalid_request_error", "invalid_prompt", "The prompt was refused."),
    "unprocessable": (422, "invalid_request_error", None, "The request cannot be processed."),
}


class Fault(BaseModel):
    """A fault, which requests it hits, and how often.

    `times`: how many requests; None: until mended. `match`: only those with this text in the label
    or in the last user message. `retry_after`: seconds, of a `rate_limit` (1 unless told) or an
    `outage`. `after_tokens`: how many come before a `cut` (10 unless told). `echo_key`: a refusal
    quotes the request's key, as some providers' do.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    kind: FaultKind
    times: PositiveInt | None = None
    match: str | None = Field(default=None, min_length=1)
    retry_after: float | None = Field(default=None, ge=0)
    after_tokens: int | None = Field(default=None, ge=0)
    echo_key: bool = False

    @model_validator(mode="after")
    def _check_options(self) -> Fault:
        if self.retry_after is not None and self.kind not in ("rate_limit", "outage"):
            raise ValueError("retry_after goes with the kinds 'rate_limit' and 'outage' only")
        if self.after_tokens is not None and self.kind != "cut":
            raise ValueError("after_tokens goes with the kind 'cut' only")
        if self.echo_key and self.kind not in REFUSALS:
            raise ValueError(f"echo_key goes with the kinds {', '.join(map(repr, REFUSALS))} only")
        if self.kind == "rate_limit" and self.retry_after is None:
            self.retry_after = 1.0
        if self.kind == "cut" and self.after_tokens is None:
            self.after_tokens = 10
        return self

    def hits(self, label: str, prompt: str) -> bool:
        """Tell whether a request is to suffer this fault."""
        return not self.match or self.match in f"{label}\n{prompt}"

    def once_less(self) -> Fault | None:
        """Return what is left of the fault after one more request."""
        if self.times is None:
            return self
        return self.model_copy(update={"times": self.times - 1}) if self.times > 1 else None

    def refusal(self, authorization: str) -> ApiError | None:
        """Return the error to answer with, or None for the kinds that are not an HTTP status.

        `authorization` is the request's header, to be quoted if asked for.
        """
        if self.kind not in REFUSALS:
            return None
        status, kind, code, message = REFUSALS[self.kind]
        if self.echo_key:
            message = f"{message} You sent {authorization!r}."
        headers = None if self.retry_after is None else {"Retry-After": f"{self.retry_after:g}"}
        return ApiError(status, message, kind=kind, code=code, headers=headers)


def drop_connection(scope: Scope) -> None:
    """Close the connection of a request that has not been answered.

    ASGI has no message for it: an app that returns without an answer makes the server answer 500.
    So the socket is looked up by the client's address and shut down beneath the server.
    """
    client = tuple(scope["client"])
    for connection in psutil.Process().net_connections("tcp"):
        if connection.raddr and tuple(connection.raddr) == client:
            with socket.socket(fileno=os.dup(connection.fd)) as same_socket:
                same_socket.shutdown(socket.SHUT_RDWR)
