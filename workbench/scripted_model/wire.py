"""OpenAI's chat-completions format: what comes in, and what goes out.

Source: the chat-completions part of OpenAI's API reference (the completion object, the chunk
object, `stream_options`). What this model has no use for is ignored: tools, temperature, …
"""

from __future__ import annotations

import json
import time
from typing import Any, Literal
from uuid import uuid4

from pydantic import BaseModel, Field, PositiveInt, ValidationError, model_validator

from workbench.scripted_model import tokens
from workbench.scripted_model.errors import ApiError, invalid_fields

FinishReason = Literal["stop", "length"]
DONE = b"data: [DONE]\n\n"


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
    max_completion_tokens: PositiveInt | None = None
    max_tokens: PositiveInt | None = None
    n: Literal[1] | None = None

    @model_validator(mode="after")
    def _check_stream_options(self) -> ChatRequest:
        if self.stream_options is not None and not self.stream:
            raise ValueError("'stream_options' is only allowed when 'stream' is enabled")
        return self

    @property
    def prompt_tokens(self) -> int:
        return sum(tokens.count(message.text) for message in self.messages)

    @property
    def wants_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage

    def limit(self, answer: list[str]) -> tuple[list[str], FinishReason]:
        """Return the tokens that the request allows, and why the answer ends where it does."""
        most = self.max_completion_tokens or self.max_tokens
        if most is None or len(answer) <= most:
            return answer, "stop"
        return answer[:most], "length"


def parse(body: bytes) -> ChatRequest:
    try:
        data = json.loads(body)
    except ValueError:
        raise ApiError(400, "We could not parse the JSON body of your request.") from None
    try:
        return ChatRequest.model_validate(data)
    except ValidationError as error:
        raise invalid_fields(error) from None


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
        return self._choice({"role": "assistant", "content": "", "refusal": None})

    def token(self, token: str) -> bytes:
        return self._choice({"content": token})

    def finish(self, reason: FinishReason) -> bytes:
        return self._choice({}, reason)

    def usage(self, completion_tokens: int) -> bytes:
        return self._chunk([], self._usage(completion_tokens))

    def whole(self, text: str, reason: FinishReason, completion_tokens: int) -> bytes:
        """Return the answer to a request that did not ask for a stream."""
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        answer = {
            "object": "chat.completion",
            **self._common,
            "choices": [choice],
            "usage": self._usage(completion_tokens),
        }
        return json.dumps(answer).encode()

    def _choice(self, delta: dict[str, Any], reason: FinishReason | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return self._chunk([choice], None)

    def _chunk(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> bytes:
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
