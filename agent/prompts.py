"""What the model is asked in each step of a task, and how its plan is read."""

import re

from pydantic import ValidationError

from agent.contracts import Brief, ChatMessage, FileRequest, Plan
from agent.model import ModelError

__all__ = ["plan_prompt", "read_plan", "review_prompt", "steered", "without_fence", "write_prompt"]

_PLAN = """You plan a small Python program.
Answer with one JSON object and nothing else:
{"summary": "one or two sentences", "files": [{"path": "name.py", "purpose": "one sentence"}]}
Plan 1 to 8 files, tests included. Paths are relative to the workspace."""

_WRITE = """You write one file of a small Python program.
Answer with the content of that file and nothing else."""

_REVIEW = """You review a small Python program.
Tell the user in a few sentences what was built and how to run it and its tests."""


def plan_prompt(brief: Brief) -> list[ChatMessage]:
    """The conversation, as it is: its last message is the request."""
    return [ChatMessage(role="system", content=_PLAN), *brief.conversation]


def steered(brief: Brief, plan: Plan, said: list[str]) -> Brief:
    """What to work on after something was said to a task that had this plan."""
    so_far = f"[Not done yet. The plan so far:]\n{plan}"
    return Brief(
        conversation=[
            *brief.conversation,
            ChatMessage(role="assistant", content=so_far),
            *(ChatMessage(role="user", content=content) for content in said),
        ],
        request="\n\n".join((brief.request, *said)),
    )


def write_prompt(file: FileRequest) -> list[ChatMessage]:
    return [
        ChatMessage(role="system", content=_WRITE),
        ChatMessage(
            role="user",
            content=f"Request: {file.request}\n\nPlan: {file.plan}\n\nFile: {file.path}",
        ),
    ]


def review_prompt(brief: Brief, plan: Plan, contents: dict[str, str]) -> list[ChatMessage]:
    files = "\n\n".join(f"File: {path}\n{content}" for path, content in contents.items())
    return [
        ChatMessage(role="system", content=_REVIEW),
        ChatMessage(role="user", content=f"Request: {brief.request}\n\nPlan: {plan}\n\n{files}"),
    ]


def read_plan(text: str) -> Plan:
    """The plan in a model's answer.

    Raises:
        ModelError: the answer is not a plan; another attempt may bring one.
    """
    try:
        # Not json.loads: it takes half a surrogate pair for text, and then no step can be told of
        # the plan, since it cannot be encoded; and it fails of its own on what is nested deeply.
        return Plan.model_validate_json(without_fence(text))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = f"{where}: {first['msg']}" if where else first["msg"]
        raise ModelError(
            f"The model's plan is not the JSON object that it was asked for: {reason}."
        ) from None


def without_fence(text: str) -> str:
    """The text without the Markdown code fence that many models put around a whole answer."""
    fenced = re.fullmatch(r"\s*```[^\n]*\n(.*?)\n?```\s*", text, re.DOTALL)
    return fenced[1] + "\n" if fenced else text
