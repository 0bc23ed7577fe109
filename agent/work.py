"""The work of this agent. Replace it: all that the rest asks for is `work(job, conversation)`.

plan ── write_file, one per file, in parallel ── review ── commit
"""

import ast
import re
import warnings
from typing import Any

import json_repair
from pydantic import BaseModel, Field, ValidationError, field_validator
from restate import Context, TerminalError

from agent.contracts import (
    ChatMessage,
    Result,
    Task,
    TurnNumber,
    Wire,
    checked,
    fault,
)
from agent.durable import all_or_cancel, stay_for_result
from agent.model import ask_model
from agent.task import Job, coding_task, perform
from agent.workspace import Commit, DraftOf, FilePath, WriteFile, commit, put_file, rollback

_PLAN = """You plan a small Python program.
Answer with one JSON object and nothing else:
{"summary": "one or two sentences", "files": [{"path": "name.py", "purpose": "one sentence"}]}
Plan 1 to 8 files, tests included. Paths are relative to the workspace."""

_WRITE = """You write one file of a small Python program.
Answer with the content of that file and nothing else."""

_REVIEW = """You review a small Python program.
Tell the user in a few sentences what was built and how to run it and its tests."""

# A model that gives no plan is told why, this often; each time costs a call.
_ASKED_AGAIN = 2


class PlannedFile(BaseModel):
    path: FilePath
    purpose: str | None = None

    @field_validator("path", mode="before")
    @classmethod
    def _from_here(cls, path: object) -> object:
        return path.strip().removeprefix("./") if isinstance(path, str) else path


class Plan(BaseModel):
    summary: str | None = None
    files: list[PlannedFile] = Field(max_length=8)

    @field_validator("files")
    @classmethod
    def _fit_on_a_disk(cls, files: list[PlannedFile]) -> list[PlannedFile]:
        files = list({file.path: file for file in files}.values())
        names = [file.path.casefold() for file in files]
        for name in names:
            if names.count(name) > 1 or any(other.startswith(f"{name}/") for other in names):
                raise ValueError(f"{name!r} clashes with another path")
        return files

    def __str__(self) -> str:
        files = [f"- {file.path}: {file.purpose or ''}" for file in self.files]
        return "\n".join([self.summary or "", *files])


_PLAN_SCHEMA = Plan.model_json_schema()


class FileRequest(Wire):
    """The input of `CodingTask.write_file`: one file of a plan."""

    session: str
    turn: TurnNumber
    epoch: str | None = None
    request: str
    plan: str
    path: FilePath


@coding_task.handler(invocation_context_managers=checked(Task))
async def run_task(ctx: Context, task: Task) -> Result:
    """Work on one turn of a session.

    Raises:
        TerminalError: 409 "cancelled", or the failure of a step; `metadata["plan"]` is the plan, as
            far as it got.
    """
    return await perform(ctx, task, work)


async def work(job: Job, conversation: list[ChatMessage]) -> str:
    """Plan, write, review, commit: the answer to the last message. Whatever is said meanwhile is
    heard between two steps, and the work begins again with it.
    """
    while True:
        request = conversation[-1].content
        plan = await _make_plan(job, conversation)
        job.plan = str(plan)
        said = await job.said() or await job.approved()
        if not said:
            files = await _write_files(job, request, plan)
            said = await job.said()
        if not said:
            answer = await job.ask("review", _review_prompt(request, plan, files))
            said = await job.said()
        if not said:
            break
        so_far = f"[Not done yet. The plan so far:]\n{plan}"
        conversation = [
            *conversation,
            ChatMessage(role="assistant", content=so_far),
            ChatMessage(role="user", content="\n\n".join([request, *said])),
        ]

    if plan.files:
        # The point of no return: what is committed is done, cancelled or not.
        paths = [file.path for file in plan.files]
        arg = Commit(turn=job.turn, epoch=job.epoch, paths=paths)
        await stay_for_result(job.ctx.object_call(commit, key=job.session, arg=arg))
    return answer


async def _make_plan(job: Job, conversation: list[ChatMessage]) -> Plan:
    """A plan from the model, which is told what is wrong with one that is none."""
    messages = [ChatMessage(role="system", content=_PLAN), *conversation]
    for again in range(_ASKED_AGAIN + 1):
        reply = await job.ask("plan again" if again else "plan", messages, schema=_PLAN_SCHEMA)
        try:
            return read_plan(reply)
        except ValidationError as error:
            wrong = fault(error)
            ask = f"This is not the JSON object that I asked for: {wrong}. Answer with that object."
            messages.append(ChatMessage(role="assistant", content=reply or "(nothing)"))
            messages.append(ChatMessage(role="user", content=ask))
    raise TerminalError(f"The model gave no plan ({wrong}). It said: {reply[:500]}")


async def _write_files(job: Job, request: str, plan: Plan) -> dict[str, str]:
    """The contents of the plan's files, by path; they are in the task's draft, too."""
    # One-way: what is sent cannot be interrupted, and the fence makes its order irrelevant.
    draft = DraftOf(turn=job.turn, epoch=job.epoch)
    job.undo = lambda: job.ctx.object_send(rollback, key=job.session, arg=draft)
    requests = [
        FileRequest(
            session=job.session,
            turn=job.turn,
            epoch=job.epoch,
            request=request,
            plan=str(plan),
            path=file.path,
        )
        for file in plan.files
    ]
    calls = [job.ctx.service_call(write_file, request) for request in requests]
    contents = await all_or_cancel(job.ctx, calls)
    return {file.path: content for file, content in zip(plan.files, contents, strict=True)}


@coding_task.handler(invocation_context_managers=checked(FileRequest))
async def write_file(ctx: Context, file: FileRequest) -> str:
    """Have the model write one file, put it into the draft, and return it."""
    task = f"Request: {file.request}\n\nPlan: {file.plan}\n\nFile: {file.path}"
    prompt = [
        ChatMessage(role="system", content=_WRITE),
        ChatMessage(role="user", content=task),
    ]
    step = f"write {file.path}"
    reply = await ask_model(ctx, step, prompt, session=file.session, turn=file.turn)
    content = read_file(reply, file.path)
    arg = WriteFile(turn=file.turn, epoch=file.epoch, path=file.path, content=content)
    await stay_for_result(ctx.object_call(put_file, key=file.session, arg=arg))
    return content


def _review_prompt(request: str, plan: Plan, contents: dict[str, str]) -> list[ChatMessage]:
    files = "\n\n".join(f"File: {path}\n{content}" for path, content in contents.items())
    return [
        ChatMessage(role="system", content=_REVIEW),
        ChatMessage(role="user", content=f"Request: {request}\n\nPlan: {plan}\n\n{files}"),
    ]


# Reading what a model has written


def read_plan(reply: str) -> Plan:
    """The plan in a reply: the JSON object in it, whatever stands around it.

    Raises:
        ValidationError: there is none, or it cannot be carried out.
    """
    try:
        found = _plan_in(json_repair.loads(reply[:100_000]))
    except (ValueError, RecursionError):
        found = None
    files = found.get("files") if found else None
    if found and isinstance(files, list):
        found["files"] = [{"path": file} if isinstance(file, str) else file for file in files]
    return Plan.model_validate(found)


def _plan_in(said: Any, depth: int = 3) -> dict[str, Any] | None:
    """The last object that looks like a plan; some wrap it into another, or into a string."""
    if isinstance(said, str) and depth:
        return _plan_in(json_repair.loads(said), depth - 1)
    if isinstance(said, dict) and "files" in said:
        return said
    inner = said.values() if isinstance(said, dict) else said if isinstance(said, list) else []
    found = [_plan_in(each, depth - 1) for each in inner] if depth else []
    return next(filter(None, reversed(found)), None)


def read_file(reply: str, path: str) -> str:
    """The content of a file in a reply, without the code fence that many models put around it, and
    what they say before and after.
    """
    whole = re.fullmatch(r"\s*(```+|~~~+)[^\n]*\n(.*?)\n?\1\s*", reply, re.DOTALL)
    if path.endswith((".md", ".rst", ".txt")) or (path.endswith(".py") and _is_python(reply)):
        return f"{whole[2]}\n" if whole else reply  # fences belong to such a file
    first = re.search(
        r"^(```+|~~~+)[^\n]*\n(.*?)(?:\n\1\s*$|\n?\Z)", reply, re.DOTALL | re.MULTILINE
    )
    return f"{first[2]}\n" if first else reply


def _is_python(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
