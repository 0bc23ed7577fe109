"""Faults on demand: what the next requests are to suffer instead of an answer."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from workbench.scripted_model.errors import ApiError

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
_REFUSALS: dict[str, tuple[int, str, str | None, str]] = {
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
    """`kind`, and: how many requests it hits (`times`; None: until mended), which ones (`match`: a
    text in the label or in the last user message), `retry_after` in seconds (`rate_limit`, where it
    is 1 unless told, and `outage`), how many tokens come before a `cut` (10 unless told), and
    whether a refusal quotes the request's key, as some providers' do (`echo_key`)."""

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
        if self.echo_key and self.kind not in _REFUSALS:
            raise ValueError(f"echo_key goes with the kinds {', '.join(map(repr, _REFUSALS))} only")
        if self.kind == "rate_limit" and self.retry_after is None:
            self.retry_after = 1.0
        if self.kind == "cut" and self.after_tokens is None:
            self.after_tokens = 10
        return self

    def refusal(self, authorization: str) -> ApiError | None:
        """Return the error to answer with, or None for the kinds that are not an HTTP status.

        `authorization` is the request's header, to be quoted if asked for.
        """
        if self.kind not in _REFUSALS:
            return None
        status, kind, code, message = _REFUSALS[self.kind]
        if self.echo_key:
            message = f"{message} You sent {authorization!r}."
        headers = None if self.retry_after is None else {"Retry-After": f"{self.retry_after:g}"}
        return ApiError(status, message, kind=kind, code=code, headers=headers)


class FaultBox:
    """Holds the one fault that is in force."""

    def __init__(self) -> None:
        self._fault: Fault | None = None

    def put(self, fault: Fault) -> None:
        self._fault = fault

    def mend(self) -> None:
        self._fault = None

    def take(self, label: str, prompt: str) -> Fault | None:
        """Return what this request is to suffer, counting down `times`."""
        fault = self._fault
        if fault is None or (fault.match and fault.match not in label + "\n" + prompt):
            return None
        if fault.times is not None:
            left = fault.times - 1
            self._fault = fault.model_copy(update={"times": left}) if left else None
        return fault
