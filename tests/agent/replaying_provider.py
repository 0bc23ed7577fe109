"""A provider that answers as real ones do: each session gets the answers of one case of
`provider_replies.json`.

A session is the name of a case and a suffix, `finish-eos.5f0c`, so cases do not meet, however many
are at work. A case has, beside what documents it and what is expected of the agent:

* `on`: the kinds of steps that it is about: `all`, or some of `plan`, `write` and `review`. The
  others are answered well.
* `responses`: what is sent, one entry a request of a step; the last repeats. `{}` is a good answer.
  - `status` (200), `headers`; `wait`: seconds before the first byte;
  - `json`, or `body`: a text, or a list of pieces, `pace` seconds apart. A piece is a text,
    `{"choice": …}` (an event with this choice), `{"chunk": …}` (an event with these fields),
    `{"event": …}` (an event with this JSON), `{"sleep": seconds}`, or, at the end, `{"cut": true}`
    (hang up) or `{"reset": true}`;
  - `encoding` ("gzip"), `bytewise`, `no_end` (no last chunk of the transfer).
* `answers`: what is said, by step or kind of step, in a good stream; `times`: how often, before a
  good answer comes.

In texts, `$TEXT` stands for a good answer of the step within a JSON string, `$H1` and `$H2` for its
halves, `$RAW` for the answer as it is; `$ROLE`, `$FIRST`, `$SECOND`, `$STOP`, `$USAGE` and `$DONE`
for the events of a good stream; in headers, `$IN n` for the date in n seconds.
"""

from __future__ import annotations

import gzip
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

from tests.agent.stub import Part, Request, Reset, Stub

PLAN = json.dumps(
    {"summary": "A clock.", "files": [{"path": "clock.py", "purpose": "Tells the time."}]}
)
FILE = "import time\nprint(time.ctime())\n"
REVIEW = "It tells the time: run python clock.py."
_GOOD = {"plan": PLAN, "write": FILE, "review": REVIEW}

_CHUNK = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
_GOOD_BODY = ["$ROLE", "$FIRST", "$SECOND", "$STOP", "$USAGE", "$DONE"]


# A case, as it stands in the file.
Case = dict[str, Any]


def load() -> tuple[dict[str, Case], dict[str, dict[str, str]]]:
    """The cases by name, and the environments of the agent that they name."""
    found = json.loads(Path(__file__).with_name("provider_replies.json").read_text())
    for case in found["cases"].values():
        case["expect"] = case["expect"] if isinstance(case["expect"], list) else [case["expect"]]
    return found["cases"], found["envs"]


class ReplayingProvider(Stub):
    """The server of all `cases`."""

    def __init__(self, cases: dict[str, Case]) -> None:
        super().__init__(self._replayed)
        self._cases = cases
        self._counts: Counter[tuple[str, str]] = Counter()

    def by_step(self, session: str) -> dict[str, list[Request]]:
        """What a session has asked for so far, step by step, oldest first."""
        steps = defaultdict(list)
        for request in list(self.requests):
            if request.session == session:
                steps[_counted_as(request)].append(request)
        return dict(steps)

    def _replayed(self, request: Request) -> Iterator[Part]:
        case = self._cases[request.session.rpartition(".")[0]]
        kind, step = request.step.split(" ")[0], (request.session, _counted_as(request))
        before = self._counts[step]
        self._counts[step] += 1
        text, answers = _GOOD[kind], case.get("answers", {})
        if before < case.get("times", before + 1):
            text = answers.get(request.step, answers.get(kind, text))
        response: dict[str, Any] = {}
        if case.get("on", "all") == "all" or kind in case["on"].split(","):
            responses = case.get("responses", [{}])
            response = responses[min(before, len(responses) - 1)]
        return _sent(response, text)


def _counted_as(request: Request) -> str:
    """The step; to plan again is the same one."""
    return "plan" if request.step.startswith("plan") else request.step


def _sent(response: dict[str, Any], text: str) -> Iterator[Part]:
    """All that goes out."""
    yield response.get("wait", 0)
    headers = {
        "content-type": "application/json" if "json" in response else "text/event-stream",
        "connection": "close",
        "transfer-encoding": "chunked",
        **({"content-encoding": response["encoding"]} if "encoding" in response else {}),
        **{name: _dated(value) for name, value in response.get("headers", {}).items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    yield f"HTTP/1.1 {response.get('status', 200)} X\r\n{head}\r\n".encode()
    parts = _body(response, text)
    if "encoding" in response:
        parts = iter([gzip.compress(b"".join(part for part in parts if isinstance(part, bytes)))])
    for part in parts:
        if not isinstance(part, bytes):
            yield part
        elif part:  # an empty part would be the last
            yield b"%x\r\n%s\r\n" % (len(part), part)
    last = (response.get("body") or [None])[-1]
    if not response.get("no_end") and last != {"cut": True}:
        yield b"0\r\n\r\n"


def _body(response: dict[str, Any], text: str) -> Iterator[Part]:
    """What goes out one after the other, before it is framed."""
    if "json" in response:
        yield _filled(json.dumps(response["json"]), text)
        return
    body = response.get("body", _GOOD_BODY)
    for piece in [body] if isinstance(body, str) else body:
        match piece:
            case {"sleep": seconds}:
                yield float(seconds)
            case {"reset": True}:
                raise Reset
            case {"cut": True}:
                return
            case _:
                filled = _filled(_text_of(piece), text)
                if response.get("bytewise"):
                    yield from (bytes([byte]) for byte in filled)
                else:
                    yield filled
        yield float(response.get("pace", 0))


def _text_of(piece: Any) -> str:
    match piece:
        case {"choice": choice}:
            return _chunk(choices=[_choice(**choice)])
        case {"chunk": fields}:
            return _chunk(**fields)
        case {"event": data}:
            return f"data: {json.dumps(data)}\n\n"
    return str(piece)


def _choice(**fields: Any) -> dict[str, Any]:
    return {"index": 0, "delta": {}, "finish_reason": None, **fields}


def _chunk(**fields: Any) -> str:
    return f"data: {json.dumps({**_CHUNK, **fields})}\n\n"


_EVENTS = {
    "$ROLE": _chunk(choices=[_choice(delta={"role": "assistant", "content": ""})]),
    "$FIRST": _chunk(choices=[_choice(delta={"content": "$H1"})]),
    "$SECOND": _chunk(choices=[_choice(delta={"content": "$H2"})]),
    "$STOP": _chunk(choices=[_choice(finish_reason="stop")]),
    "$USAGE": _chunk(
        choices=[], usage={"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    ),
    "$DONE": "data: [DONE]\n\n",
}


def _filled(piece: str, text: str) -> bytes:
    for name, event in _EVENTS.items():
        piece = piece.replace(name, event)
    half = len(text) // 2
    texts = {"$TEXT": text, "$H1": text[:half], "$H2": text[half:]}
    for name, value in texts.items():
        piece = piece.replace(name, json.dumps(value)[1:-1])
    return piece.replace("$RAW", text).encode()


def _dated(value: str) -> str:
    ahead = re.fullmatch(r"\$IN (\d+)", value)
    return formatdate(time.time() + int(ahead[1]), usegmt=True) if ahead else value
