"""OpenAI's chat-completions format: what comes in, what goes out, and errors.

Source: OpenAI's API reference (the completion object, the chunk object, `stream_options`, the error
objects) and its guide to error codes. What this model has no use for is ignored: tools,
temperature, a limit of tokens, …
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any, Literal, TypeVar
from uuid import uuid4

from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request

M = TypeVar("M", bound=BaseModel)

DONE = b"data: [DONE]\n\n"
_MOST_LABEL_CHARACTERS = 512
# A word or a run of punctuation, with the whitespace before it. That is close to what real
# tokenizers make of English and Python, needs no vocabulary file, and loses nothing: the pieces
# joined are the text. One token is one chunk of a stream and counts as one in `usage`.
_TOKEN = re.compile(r"\s*(?:\w+|[^\w\s]+)|\s+")


def tokens(text: str) -> list[str]:
    """Split `text` into what this model calls tokens."""
    return _TOKEN.findall(text)


class ApiError(Exception):
    """A refusal, as the client is to see it."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    include_usage: bool = False


class ChatRequest(BaseModel):
    model: str = Field(min_length=1)
    messages: list[Message] = Field(min_length=1)
    stream: bool | None = False
    stream_options: StreamOptions | None = None

    @property
    def prompt_tokens(self) -> int:
        return sum(len(tokens(message.text)) for message in self.messages)

    @property
    def wants_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


def check_headers(request: Request) -> None:
    """Accept any key, but not a request without one: an agent that sends none has a bug.

    A label is refused as OpenAI refuses an `X-Client-Request-Id`.
    """
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise ApiError(
            401,
            "You didn't provide an API key. Send it in an Authorization header with Bearer auth; "
            "the scripted model accepts any.",
        )
    label = request.headers.get("x-client-request-id", "")
    if len(label) > _MOST_LABEL_CHARACTERS or not label.isascii():
        raise ApiError(400, "X-Client-Request-Id must be ASCII and no longer than 512 characters.")


def parse(model: type[M], body: bytes, *, hint: str = "") -> M:
    """Read a JSON body; a wrong one is a 400 that names the first bad field as `param`."""
    try:
        data = json.loads(body)
    except ValueError:
        raise ApiError(400, "We could not parse the JSON body of your request.") from None
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faults = error.errors()
        paths = [_path(fault["loc"]) for fault in faults]
    said = [
        f"{path}: {fault['msg']}." if path else f"{fault['msg']}."
        for path, fault in zip(paths, faults, strict=True)
    ]
    code = "missing_required_parameter" if faults[0]["type"] == "missing" else "invalid_value"
    raise ApiError(400, " ".join(said) + hint, code=code, param=paths[0] or None)


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


class Completion:
    """The objects of one answer; all of its chunks carry the same id."""

    def __init__(self, chat: ChatRequest) -> None:
        self._chat = chat
        self._common = {
            "id": f"chatcmpl-{uuid4().hex}",
            "created": int(time.time()),
            "model": chat.model,
            "service_tier": "default",
            "system_fingerprint": "fp_scripted",
        }

    def role(self) -> bytes:
        """Return the first chunk."""
        return self._chunk({"role": "assistant", "content": "", "refusal": None})

    def token(self, token: str) -> bytes:
        """Return the chunk of one token."""
        return self._chunk({"content": token})

    def finish(self, completion_tokens: int) -> bytes:
        """Return the chunks that end a stream, with the usage if it was asked for."""
        end = self._chunk({}, "stop")
        if self._chat.wants_usage:
            end += self._event([], self._usage(completion_tokens))
        return end + DONE

    def whole(self, text: str, completion_tokens: int) -> bytes:
        """Return the answer to a request that did not ask for a stream."""
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        answer = {
            "object": "chat.completion",
            **self._common,
            "choices": [choice],
            "usage": self._usage(completion_tokens),
        }
        return json.dumps(answer).encode()

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return self._event([choice], None)

    def _event(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> bytes:
        chunk = {"object": "chat.completion.chunk", **self._common, "choices": choices}
        if self._chat.wants_usage:
            chunk["usage"] = usage
        return f"data: {json.dumps(chunk)}\n\n".encode()

    def _usage(self, completion_tokens: int) -> dict[str, Any]:
        prompt_tokens = self._chat.prompt_tokens
        return {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        }
