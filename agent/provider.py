"""One streaming call of the chat model, and what may come instead of an answer.

OpenAI's client sends the request. What comes back is read here, line by line: providers that speak
"OpenAI's protocol" differ in all that they add and leave out, and the client gives up at the first
event that it does not know. So what is needed is looked for, and the rest is skipped.
"""

import contextlib
import json
import re
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from functools import cache
from time import time
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import anyio
import openai
from pydantic import BaseModel

from agent.contracts import ChatMessage
from agent.settings import SettingsError, is_loopback, settings

_LONGEST = 2_000_000  # characters of an answer; more would not fit into a journal
_AFTER_THE_END = 2.0  # seconds for what may follow an answer that is complete: its usage

# Finish reasons of an incomplete answer. Any other word ends a good one.
_CUT_OFF = re.compile(r"length|max.?tokens|filter|safety|recitation|block|prohibit|tool|function")
_BROKE_OFF = re.compile(r"error|insufficient|abort|cancel|unavailable|overload")

# What a refusal is about, where its status does not tell.
_BAD_REQUEST = re.compile(
    r"context (size|length|window)|too (long|large|many tokens)|maximum .{0,20}(length|tokens)"
    r"|moderation|flagged|content.?(policy|filter|management)|safety|invalid.?prompt",
    re.IGNORECASE,
)
_MENDABLE = re.compile(
    r"api.?key|credential|permission|billing|credit|insufficient.?quota|balance|organi[sz]ation"
    r"|verif|account|region|endpoint|not found|does not exist",
    re.IGNORECASE,
)
_UNPAID = re.compile(r"insufficient|billing|credit|balance", re.IGNORECASE)

# What some models think aloud before they answer. The opening tag may be missing, or the other.
_THOUGHT = re.compile(r"\A\s*<(think\w*|thoughts?|reasoning)>.*?(</\1>\s*|\Z)", re.DOTALL | re.I)
_THOUGHT_END = re.compile(
    r"\A(?:(?!<think).)*?</(think\w*|thoughts?|reasoning)>\s*", re.DOTALL | re.I
)
_DELAY = re.compile(r"(?:retryDelay\W+|again in |retry in )(?:(\d+)m)?(\d+(?:\.\d+)?)(ms|s)")

# What makes an answer better and is not needed: a provider that refuses one of these by its name
# is asked without it from then on.
_refused: set[str] = set()


class Failure(BaseModel):
    """A failed call, in the provider's words where it gives any.

    Attributes:
        kind: "passing", another attempt may fare better, after `delay` seconds if the provider says
            so; "mendable", an operator can do something about it; "final", nothing can be done.
    """

    kind: Literal["passing", "mendable", "final"]
    says: str
    delay: float = 0.0


class Reply(BaseModel):
    """The reply to a call, as the journal keeps it. The provider counts the tokens in its
    last chunk; until then they are the chunks that have come.

    Attributes:
        sent: the request went out, before the call was stopped.
        finished: the call was not stopped.
    """

    sent: bool = False
    text: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finished: bool = False
    failure: Failure | None = None


async def ask(
    messages: list[ChatMessage], reply: Reply, *, label: str, schema: dict[str, Any] | None = None
) -> None:
    """Fill `reply` until it is complete or has failed. Cancelled, it hangs up.

    Args:
        label: sent as `X-Client-Request-Id`, by which the provider's logs can be told apart. ASCII.
        schema: a JSON schema of the answer, for providers that can hold a model to one.
    """
    optional: dict[str, Any] = {"stream_options": {"include_usage": True}}
    if schema:
        form = {"name": "answer", "schema": schema}
        optional["response_format"] = {"type": "json_schema", "json_schema": form}
    try:
        async with _turnstile():
            reply.failure = await _call(messages, reply, label, optional)
        reply.finished, reply.text = True, spoken(reply.text)
    finally:  # a token may be half a surrogate pair
        reply.text = reply.text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


async def _call(
    messages: list[ChatMessage], reply: Reply, label: str, optional: dict[str, Any]
) -> Failure | None:
    """Make the call; what is wrong with it comes back."""
    while True:
        answer = _Answer(reply)
        body = {
            "model": settings().model,
            "messages": [message.model_dump() for message in messages],
            "stream": True,
            **{name: value for name, value in optional.items() if name not in _refused},
        }
        try:
            await _receive(answer, body, label)
        except openai.APIStatusError as error:
            said = error.response.text
            named = {name for name in optional if name in body and name in said}
            if error.status_code not in (400, 422) or not named:
                return failure_of(said, error.status_code, dict(error.response.headers))
            _refused.update(named)
        except openai.APIConnectionError as error:
            return _passing(f"The provider cannot be reached: {error.__cause__ or error}")
        except Exception as error:  # each transport has its own for a connection that breaks
            answer.broke_off = type(error).__name__
            return answer.fault()
        else:
            return answer.fault()


async def _receive(answer: "_Answer", body: dict[str, Any], label: str) -> None:
    first, stall, whole = (
        settings().first_token_timeout,
        settings().stall_timeout,
        settings().call_timeout,
    )
    limit = f"no token within {first:g} s (AGENT_FIRST_TOKEN_TIMEOUT)"
    ends = None  # when an answer that has begun has to be complete
    answer.reply.sent = True
    with anyio.CancelScope(deadline=anyio.current_time() + first) as scope:
        completions = client().chat.completions.with_streaming_response
        async with completions.create(
            **body, extra_headers={"X-Client-Request-Id": label}
        ) as response:
            async for line in _lines(response.iter_bytes()):
                heard = answer.take(line)
                now = anyio.current_time()
                if answer.is_over:
                    return
                if answer.finish:
                    scope.deadline = min(scope.deadline, now + _AFTER_THE_END)
                elif heard:
                    ends = ends or now + whole
                    scope.deadline = min(now + stall, ends)
                    limit = f"silence for {stall:g} s (AGENT_STALL_TIMEOUT)"
                    if scope.deadline == ends:
                        limit = f"still going on after {whole:g} s (AGENT_CALL_TIMEOUT)"
    if scope.cancelled_caught:
        answer.broke_off = limit


async def _lines(parts: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """The lines of a stream. Not those of `str.splitlines`, which ends one within a JSON text."""
    rest = b""
    async for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace").rstrip("\r")
    yield rest.decode(errors="replace")


class _Answer:
    """An answer on its way, read from the lines of a stream of server-sent events.

    Attributes:
        finish: why the model has ended its answer, in the provider's word.
        is_over: nothing that matters will follow.
        broke_off: what has cut the stream short.
    """

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.finish = self.broke_off = self._refusal = ""
        self.is_over = self._complete = False
        self._data = self._event = self._other = ""
        self._error: Failure | None = None

    def take(self, line: str) -> bool:
        """Read a line. Whether the model shows that it is at work on the answer."""
        field, colon, value = line.partition(":")
        if field == "data" and value.strip() == "[DONE]":
            self.finish = self.finish or "done"
        elif field == "error" or (field == "data" and self._event == "error"):
            self._error, self.is_over = failure_of(value), True
        elif field == "data":
            self._data += value
            event = _parsed(self._data)  # if it is none, the rest follows, or never will
            if event is not None:
                self._data = ""
                return self._take_event(event)
        elif not line:
            self._data = self._event = ""
        elif field == "event":
            self._event = value.strip()
        elif not colon or field not in ("id", "retry", ""):
            self._other = f"{self._other}{line}\n"[:_LONGEST]
        return False

    def _take_event(self, event: object) -> bool:
        if not isinstance(event, dict):
            return False
        if event.get("error") or "error" in (event.get("object"), event.get("type")):
            self._error, self.is_over = failure_of(event), True
            return False
        usage, choices = event.get("usage"), event.get("choices")
        if isinstance(usage, dict):
            self._complete = True
            for name in ("prompt_tokens", "completion_tokens"):
                count = usage.get(name)
                if isinstance(count, int) and 0 <= count < 2**31:
                    setattr(self.reply, name, count)
        heard = False
        for choice in choices if isinstance(choices, list) else []:
            if isinstance(choice, dict) and choice.get("index") in (0, None):
                self._take_choice(choice)
                heard = True
        return heard

    def _take_choice(self, choice: dict[str, Any]) -> None:
        said = choice.get("delta") or choice.get("message")
        if isinstance(said, dict):
            text = _text(said.get("content"))
            self.reply.text += text
            self.reply.completion_tokens += bool(text)
            self._refusal += _text(said.get("refusal"))
        self.finish = str(choice.get("finish_reason") or self.finish)
        if len(self.reply.text) > _LONGEST:
            self._error, self.is_over = _final("The model's answer has no end."), True

    def fault(self) -> Failure | None:
        """The failure of the answer, once the stream has ended; None if it is good."""
        finish, text = self.finish.lower(), spoken(self.reply.text).strip()
        if self._refusal:
            return _final(f"The model refuses: {self._refusal}")
        if _CUT_OFF.search(finish):
            return _final(f"The model gave no complete answer: it stopped with {self.finish!r}.")
        if self._error or _BROKE_OFF.search(finish):
            return self._error or _passing(f"The model broke off with {self.finish!r}.")
        if text and (finish or self._complete):
            return None
        if self.broke_off:
            return _passing(f"The model's answer broke off: {self.broke_off}.")
        if (
            self._other and not text
        ):  # no events: an answer in one piece, or what somebody else says
            whole, self._other = self._other, ""
            event = _parsed(whole)
            if isinstance(event, dict) and event.get("choices"):
                self._take_event(event)
                return self.fault()
            failure = failure_of(whole)
            says = f"No stream came from the provider. {failure.says}"
            return failure.model_copy(update={"says": says})
        return _passing("The model's stream ended before its answer did, or its answer is empty.")


def failure_of(
    said: object, status: int | None = None, headers: dict[str, str] | None = None
) -> Failure:
    """Classifies an error from the provider, sent with a status or within a stream."""
    if isinstance(said, str):
        said = _parsed(said) or said
    everything = json.dumps(said, ensure_ascii=False)[:10_000]
    words = (_words(said) or "it gives no reason")[:1000]
    code = status or _status_in(said)
    delay = _delay(headers or {}, everything)
    says = _without_key(f"The provider answers {code}: {words}" if code else f"It says: {words}")
    if code in (404, 405) or (code is None and "endpoint" in words):
        says += " Is OPENAI_BASE_URL right, with the /v1 that most providers want, and AGENT_MODEL?"
    mendable = _MENDABLE.search(everything)
    match code:
        case 400 | 403 | 413 | 422 | None if _BAD_REQUEST.search(everything):
            kind = "final"
        case 413 | 422:
            kind = "final"
        case 400:
            kind = "mendable" if mendable else "final"
        case 429:
            kind = "mendable" if _UNPAID.search(everything) and not delay else "passing"
        case None:
            kind = "mendable" if mendable else "passing"
        case 408 | 409 | 425 | 499:
            kind = "passing"
        case _:
            kind = "mendable" if code < 500 else "passing"
    return Failure.model_validate({"kind": kind, "says": says, "delay": delay})


def spoken(text: str) -> str:
    """An answer without the thoughts and the markup that some models put around it."""
    text = re.sub(r"<\|\w+\|>\s*\Z", "", text.rpartition("<|message|>")[2])
    return _THOUGHT_END.sub("", _THOUGHT.sub("", text, count=1), count=1)


def _passing(says: str) -> Failure:
    return Failure(kind="passing", says=_without_key(says))


def _final(says: str) -> Failure:
    return Failure(kind="final", says=_without_key(says))


def _parsed(text: str) -> object:
    """The value of a JSON text; None if it is none."""
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(text)
    return None


def _text(content: object) -> str:
    """The text of a content, which some send in parts; what the model thinks is none of it."""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _words(said: object) -> str:
    """The readable part of an error, wherever the provider has put it."""
    if isinstance(said, str):
        return " ".join(re.sub(r"<[^>]*>", " ", said).split())
    if isinstance(said, list):
        return "; ".join(filter(None, map(_words, said[:3])))
    keys = ("error", "errors", "message", "detail", "msg", "reason", "title")
    found = [_words(said.get(key)) for key in keys] if isinstance(said, dict) else []
    return next(filter(None, found), "")


def _status_in(said: object) -> int | None:
    """The HTTP status that an error names in its body."""
    if isinstance(said, list):
        return _status_in(said[0]) if said else None
    if not isinstance(said, dict):
        return None
    codes = [said.get(key) for key in ("code", "status", "status_code")]
    found = next((code for code in codes if isinstance(code, int) and 400 <= code < 600), None)
    return found or _status_in(said.get("error"))


def _delay(headers: dict[str, str], body: str) -> float:
    """Seconds that the provider asks to wait; 0 for none, or for more than a day."""
    seconds, after = 0.0, headers.get("retry-after", "")
    for name, value in headers.items():
        if (
            name.startswith("x-ratelimit-reset")
            and headers.get(name.replace("reset", "remaining")) == "0"
        ):
            body += f" again in {value}"
    found = _DELAY.search(body)
    with contextlib.suppress(ValueError):
        if "retry-after-ms" in headers:
            seconds = float(headers["retry-after-ms"]) / 1000
        elif after.replace(".", "").isdigit():
            seconds = float(after)
        elif after:
            seconds = parsedate_to_datetime(after).timestamp() - time()
        elif found:
            minutes, number, unit = found.groups()
            seconds = int(minutes or 0) * 60 + float(number) / (1000 if unit == "ms" else 1)
    return seconds if 0 < seconds <= 86_400 else 0.0


def _without_key(text: str) -> str:
    key = settings().api_key.get_secret_value()
    return text.replace(key, "[key]") if key else text


@cache
def _turnstile() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(settings().parallel_calls or float("inf"))


@cache
def client() -> openai.AsyncOpenAI:
    """The provider's client.

    Raises:
        SettingsError: proxies or certificates are set that cannot be used.
    """
    url = urlsplit(settings().base_url or "")
    try:
        return openai.AsyncOpenAI(
            # A provider on one's own machine may need no key; the client insists on one.
            api_key=settings().api_key.get_secret_value() or "none",
            base_url=url._replace(query="").geturl() or None,
            default_query=dict(parse_qsl(url.query)),
            max_retries=0,  # two layers of retries multiply, and only Restate's survive a crash
            timeout=openai.Timeout(None, connect=5),
            http_client=openai.DefaultAsyncHttpxClient(
                trust_env=not is_loopback(url.hostname or "")
            ),
        )
    except ImportError:
        raise SettingsError(
            "ALL_PROXY, HTTPS_PROXY or HTTP_PROXY names a SOCKS proxy, for which a package is "
            "missing: pip install socksio, or unset it"
        ) from None
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"the provider cannot be called with these proxies or certificates ({error}): look at "
            "SSL_CERT_FILE, SSL_CERT_DIR and the *_PROXY variables"
        ) from None
