"""Answers of the scripted model: which step of the agent asks, about which program.

The first line of the system message tells the step. The words of the user's last request choose the
program when it is planned; the later steps recognise the plan by its summary, so that a README
that mentions Flask does not turn the review into one of the Flask app.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from workbench.scripted_model.openai_format import Message
from workbench.scripted_model.requests import Step

_FOLDER = Path(__file__).parent / "programs"
_STEPS: dict[str, Step] = {
    "You plan a small Python program.": "plan",
    "You write one file of a small Python program.": "write",
    "You review a small Python program.": "review",
}
_FILE_LINE = re.compile(r"^File: *(\S+) *$", re.MULTILINE)
_REQUEST_IN_FILE = 'REQUEST = "Say hello"'


@dataclass(frozen=True)
class Program:
    """A program: which words ask for it, what its plan says, and what is said at the end."""

    name: str
    words: tuple[str, ...]
    summary: str
    purposes: Mapping[str, str]
    answer: str

    def read(self, path: str) -> str:
        """Return the content of one of its files."""
        return (_FOLDER / self.name / path).read_text(encoding="utf-8")


class Answer(BaseModel):
    """What to answer to requests with the text `match` in label or prompt."""

    model_config = ConfigDict(extra="forbid")

    match: str = Field(min_length=1)
    text: str


class Answers:
    """Answers that somebody has put into the model's mouth; the newest word counts."""

    def __init__(self) -> None:
        self._said: deque[Answer] = deque(maxlen=1000)

    def add(self, answer: Answer) -> None:
        """Answer so from now on."""
        self._said.appendleft(answer)

    def find(self, request: str) -> str | None:
        """The answer to this request, if there is one for it."""
        return next((each.text for each in self._said if each.match in request), None)


_CATALOG = json.loads((_FOLDER / "catalog.json").read_text(encoding="utf-8"))
# In this order, because "the to-do list, in Flask" names two of them; the greeter, which no words
# ask for, is the answer to everything else.
PROGRAMS = tuple(Program(**program) for program in _CATALOG[:-1])
GREETER = Program(**_CATALOG[-1])
# The greeter carries the request from the plan to its file in brackets behind the summary.
_REQUEST_IN_PLAN = re.compile(re.escape(GREETER.summary) + r" \[([^\]\n]*)\]")


def step_of(messages: list[Message]) -> Step:
    """Tell which step of the agent is asking."""
    if messages[0].role not in ("system", "developer"):
        return "other"
    first_line = messages[0].text.partition("\n")[0].strip()
    return _STEPS.get(first_line, "other")


def last_user_text(messages: list[Message]) -> str:
    """Return what the user said last."""
    return next((m.text for m in reversed(messages) if m.role == "user"), "")


def answer_to(messages: list[Message]) -> str:
    """Return the model's answer to a conversation."""
    prompt = last_user_text(messages)
    step = step_of(messages)
    if step == "plan":
        return _plan(prompt)
    if step == "write":
        return _file(prompt)
    if step == "review":
        return _planned_program(prompt).answer
    return (
        f"You said: {_in_brief(prompt)}\n\nI am a scripted model: my answers were written down "
        "beforehand. I plan, write and review small Python programs when the agent of this series "
        "asks me to, and to anything else I answer with these few lines. To talk to a real model, "
        "set OPENAI_API_KEY and start the lesson again."
    )


def _plan(request: str) -> str:
    program = _program_named_in(request)
    summary = program.summary
    if program is GREETER:
        summary += f" [{_in_brief(request)}]"
    files = [{"path": path, "purpose": purpose} for path, purpose in program.purposes.items()]
    return json.dumps({"summary": summary, "files": files}, indent=2, ensure_ascii=False)


def _file(prompt: str) -> str:
    path = (_FILE_LINE.findall(prompt) or ["(no file was named)"])[-1]
    program = _planned_program(prompt)
    if path not in program.purposes:
        return f"# {path}: the scripted model's plan for this request has no such file.\n"
    content = program.read(path)
    if program is GREETER and (found := _REQUEST_IN_PLAN.search(prompt)):
        # The plan may come as JSON with `\u00e9` for é. There is no quote in it: see _in_brief.
        request = json.loads(f'"{found[1]}"')
        content = content.replace(_REQUEST_IN_FILE, f'REQUEST = "{request}"')
    return content


def _planned_program(prompt: str) -> Program:
    """Return the program of the last plan in the prompt, or else the one that its words name."""
    place, program = max(
        ((prompt.rfind(program.summary), program) for program in (*PROGRAMS, GREETER)),
        key=lambda found: found[0],
    )
    return program if place >= 0 else _program_named_in(prompt)


def _program_named_in(text: str) -> Program:
    text = text.lower()
    return next((p for p in PROGRAMS if any(word in text for word in p.words)), GREETER)


def _in_brief(request: str) -> str:
    """Return the request as one short line that is safe in brackets and in a string literal."""
    plain = "".join(c if c.isprintable() and c not in '"\\[]' else " " for c in request)
    return textwrap.shorten(plain, width=60, placeholder="...") or "(nothing)"
