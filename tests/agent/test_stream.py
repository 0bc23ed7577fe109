"""Reads a stream of server-sent events line by line, and what a request for one says."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import ValidationError
from restate import TerminalError

from agent import provider, work
from agent.contracts import ChatMessage
from agent.provider import Failure, Reply, _Answer, _lines, spoken
from agent.work import Plan, read_file, read_plan

pytestmark = pytest.mark.anyio


def _data(**event: Any) -> str:
    return f"data: {json.dumps(event)}\n\n"


def _said(text: str, **more: Any) -> str:
    return _data(choices=[{"index": 0, "delta": {"content": text}, **more}])


USAGE = {"prompt_tokens": 0, "completion_tokens": 2**31 - 1}


def _read(stream: str) -> tuple[Failure | None, Reply, list[bool]]:
    """What is wrong with the answer, what it says, and which lines showed a model at work."""
    answer = _Answer(Reply())
    heard = []
    for line in stream.split("\n"):
        if answer.is_over:
            break
        heard.append(answer.take(line))
    return answer.fault(), answer.reply, heard


@pytest.mark.parametrize(
    "stream",
    [
        _said("A") + "data: [DONE]",
        "event: error\n\n" + _said("A", finish_reason="stop"),  # it ends with its event
        _said("A", finish_reason="stop"),
        _said("A") + _data(usage=USAGE),  # the provider counts what is whole
        _data(choices=[{"message": {"content": "A"}, "finish_reason": "stop"}]),
        _said("A").rstrip() + "\n" + _said("", finish_reason="stop"),  # no line between events
        _data(choices=["?", {"index": 1, "delta": {"content": "B"}}]) + _said("A") + "data: [DONE]",
        "id: 1\nretry: 5\nevent: message\n: a comment\n" + _said("A", finish_reason="stop"),
        'data: {"choices": [{"delta": {"content": "A"},\ndata: "finish_reason": "stop"}]}\n\n',
        json.dumps({"choices": [{"message": {"content": "A"}, "finish_reason": "stop"}]}, indent=1),
        "data: []\n\ndata: {no}\n\n" + _data(choices=5) + _said("A", finish_reason="stop"),
    ],
)
def test_a_whole_answer(stream: str) -> None:
    fault, reply, _ = _read(stream)
    assert fault is None
    assert reply.text == "A"


@pytest.mark.parametrize(
    ("stream", "kind", "says"),
    [
        ("error: overloaded\n\n" + _said("no"), "passing", "It says: overloaded"),
        ('event: error\ndata: {"message": "No."}\n\n', "passing", "It says: No."),
        (_said("A") + _data(object="error", message="No."), "passing", "It says: No."),
        (_said("A") + _data(type="error", code=400, message="No."), "final", "400: No."),
        (_said("A") + _data(error="No.") + _said("no", finish_reason="stop"), "passing", "No."),
        pytest.param(
            _said("A" * 2_000_001) + _said("no"), "final", "answer has no end.", id="no end"
        ),
        (_said("A", finish_reason="MAX_TOKENS"), "final", "it stopped with 'MAX_TOKENS'."),
        (_said("A", finish_reason="error"), "passing", "The model broke off with 'error'."),
        (
            "".join(_data(choices=[{"delta": {"refusal": part}}]) for part in ("I ", "won't.")),
            "final",
            "The model refuses: I won't.",
        ),
        ("id: 1\nretry: 5\n: a comment\n\n", "passing", "The model's stream ended before"),
        (json.dumps({"choices": [{"message": {"content": ""}}]}), "passing", "answer is empty."),
        ("<html>\nBad gateway\n", "passing", "No stream came from the provider. It says: Bad"),
        (_said("A") + "a line of no event\n", "passing", "its answer is empty."),
        (_said("", finish_reason="stop"), "passing", "its answer is empty."),
        ("", "passing", "The model's stream ended before its answer did"),
    ],
)
def test_no_answer(stream: str, kind: str, says: str) -> None:
    fault, reply, _ = _read(stream)
    assert fault
    assert fault.kind == kind
    assert says in fault.says
    assert "no" not in reply.text  # after an error nothing is read


def test_what_shows_that_the_model_is_at_work() -> None:
    stream = "event: ping\n: comment\n" + _said("A") + "data: {}\n\n" + _data(choices=[])
    stream += "data: []\n\n" + _data(error="No.")
    assert [index for index, heard in enumerate(_read(stream)[2]) if heard] == [2]


def test_tokens_are_counted_by_the_chunk_until_the_provider_counts_them() -> None:
    stream = _said("A") + _said("") + _said("B")
    assert _read(stream)[1].completion_tokens == 2
    counted = _read(stream + _data(usage=USAGE))[1]
    assert (counted.prompt_tokens, counted.completion_tokens) == (0, 2**31 - 1)
    assert _read(stream + _data(usage={"completion_tokens": 0}))[1].completion_tokens == 0
    beyond = {"prompt_tokens": 2**31, "completion_tokens": -1}
    assert _read(stream + _data(usage=beyond))[1].completion_tokens == 2
    assert _read(stream + _data(usage=beyond))[1].prompt_tokens == 0


async def test_lines_of_bytes() -> None:
    async def parts() -> AsyncIterator[bytes]:
        for part in (b"a\r\n b \nX\n\xc3", b"\xa4\n\xff\nc\xe2\x80\xa8", b"d\xff"):
            yield part

    read = [line async for line in _lines(parts())]
    assert read == ["a", " b ", "X", "\u00e4", "\ufffd", "c\u2028d\ufffd"]


async def test_what_a_request_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[dict[str, Any], str]] = []

    async def receive(answer: _Answer, body: dict[str, Any], label: str) -> None:
        asked.append((body, label))

    monkeypatch.setattr(provider, "_receive", receive)
    monkeypatch.setattr(provider, "_refused", set())
    hello = [ChatMessage(role="user", content="Hello")]
    await provider.ask(hello, Reply(), label="s/1/plan", schema={"type": "object"})
    form = {"name": "answer", "schema": {"type": "object"}}
    body = {
        "model": provider.settings().model,
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "response_format": {"type": "json_schema", "json_schema": form},
    }
    assert asked == [(body, "s/1/plan")]


@pytest.mark.parametrize(
    "text", ["<think>no</think>A", "no</think>A", "<|channel|>no<|message|>A<|end|>\n", "A"]
)
def test_what_is_spoken(text: str) -> None:
    assert spoken(text) == "A"


class Asked:
    """A job whose model answers as it is told to."""

    def __init__(self, *replies: str) -> None:
        self.replies, self.calls = list(replies), list[tuple[str, list[ChatMessage], object]]()

    async def ask(self, step: str, messages: list[ChatMessage], *, schema: object = None) -> str:
        self.calls.append((step, list(messages), schema))
        return self.replies.pop(0)


async def test_a_plan_is_asked_for_again_with_what_was_wrong() -> None:
    job: Any = Asked("", '{"files": []}')
    await work._make_plan(job, [])
    (first, _, schema), (again, messages, same_schema) = job.calls
    assert (first, again) == ("plan", "plan again")
    assert schema == same_schema == Plan.model_json_schema()
    assert [message.content for message in messages[1:2]] == ["(nothing)"]
    assert "Input should be a valid dictionary" in messages[2].content


async def test_a_plan_is_asked_for_three_times() -> None:
    job: Any = Asked(*["no"] * 4)
    with pytest.raises(TerminalError, match="no plan"):
        await work._make_plan(job, [])
    assert len(job.calls) == 3


@pytest.mark.parametrize(
    "reply",
    [
        '{"files": ["a.py"]}',
        '[{"files": [{"path": "a.py"}]}]',
        json.dumps({"plan": json.dumps({"files": ["a.py"]})}),
        json.dumps({"one": json.dumps({"two": {"files": ["a.py"]}})}),
        '{"one": {"two": {"files": ["a.py"]}}}',
    ],
)
def test_a_plan_in_a_plan(reply: str) -> None:
    assert str(read_plan(reply)) == "\n- a.py: "


@pytest.mark.parametrize(
    "reply",
    [
        '{"1": {"2": {"3": {"4": {"files": []}}}}}',  # too deep
        json.dumps({"1": json.dumps({"2": json.dumps({"files": []})})}),
        '{"files": 5}',
        '{"plan": 5}',
    ],
)
def test_what_is_no_plan(reply: str) -> None:
    with pytest.raises(ValidationError):
        read_plan(reply)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/a.py", "not relative to the workspace"),
        ("C:", "not relative to the workspace"),
        ("a\\nb.py", "a character that no file name should have"),
        ("a\\b.py", "a character that no file name should have"),
        *(
            (path, "an empty, a too long, or a '.' or '..' part")
            for path in ("a/../b.py", "a/./b.py", "a//b.py", "x" * 201)
        ),
    ],
)
def test_why_a_path_is_refused(path: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        read_plan(json.dumps({"files": [path]}).replace("\\\\n", "\\n"))


@pytest.mark.parametrize("path", ["a.md", "a.rst", "a.txt"])
def test_fences_belong_to_a_text(path: str) -> None:
    text = "Run:\n```\npython a.py\n```\n"
    assert read_file(text, path) == text
    assert read_file(f"```\n{text}```\n", path) == text


CODE = "x = 1\n\ny = 2\n"


@pytest.mark.parametrize(
    ("reply", "content"),
    [
        (f"```python\n{CODE}```", CODE),
        (f"Here:\n~~~\n{CODE}~~~\nDone.", CODE),
        (f"Here:\n```\n{CODE}", CODE),
        (f'"""\n```\n{CODE}```\n"""\n', None),  # Python as it is
        (CODE, None),
    ],
)
def test_a_fence_around_code_goes(reply: str, content: str | None) -> None:
    assert read_file(reply, "a.py") == (content or reply)
    assert read_file("plain", "a.html") == "plain"


@pytest.mark.parametrize("path", ["a", "x" * 200])
def test_a_path_may_be(path: str) -> None:
    assert read_plan(json.dumps({"files": [path]})).files[0].path == path
