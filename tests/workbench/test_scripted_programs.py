"""The programs that the scripted model writes: they are chosen by the words of the request, arrive
byte for byte through the agent's three steps, and run."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient
from openai.types.chat import ChatCompletionMessageParam

from workbench.model_client import ScriptedModel, start_model
from workbench.scripted_model import catalog, tokens
from workbench.scripted_model.catalog import GREETER, PROGRAMS, Program

pytestmark = pytest.mark.anyio

PLAN = "You plan a small Python program."
WRITE = "You write one file of a small Python program."
REVIEW = "You review a small Python program."

REQUESTS = {
    "todo_cli": "Build a to-do list for the command line, with tests.",
    "todo_flask": "Make it a Flask app instead.",
    "todo_fastapi": "No, use FastAPI.",
    "greeter": "Compute the first ten primes.",
}
ALL = (*PROGRAMS, GREETER)
every_program = pytest.mark.parametrize("program", ALL, ids=lambda program: program.name)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedModel]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(tmp_path_factory.mktemp("home")))
        model = start_model(tokens_per_second=100_000, first_token_seconds=0)
        assert isinstance(model, ScriptedModel)
        yield model
        model.stop()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def client(model: ScriptedModel) -> AsyncIterator[AsyncOpenAI]:
    # No proxy and no certificates: the model is on loopback, and loading them takes 20 ms a test.
    http = DefaultAsyncHttpxClient(trust_env=False, verify=False)
    async with AsyncOpenAI(
        api_key="any", base_url=model.base_url, max_retries=0, http_client=http
    ) as client:
        yield client


async def ask(client: AsyncOpenAI, system: str, *conversation: str) -> str:
    """Stream the answer to a conversation in which user and assistant take turns."""
    messages: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": f"{system}\nAnswer as you are told."}
    ]
    for number, content in enumerate(conversation):
        if number % 2:
            messages.append({"role": "assistant", "content": content})
        else:
            messages.append({"role": "user", "content": content})
    stream = await client.chat.completions.create(model="any", messages=messages, stream=True)
    return "".join([c.choices[0].delta.content or "" async for c in stream])


async def ask_for_plan(client: AsyncOpenAI, *conversation: str) -> tuple[str, list[str]]:
    """Return the plan's summary and the paths of its files."""
    plan = json.loads(await ask(client, PLAN, *conversation))
    assert set(plan) == {"summary", "files"}
    assert all(set(file) == {"path", "purpose"} for file in plan["files"])
    return plan["summary"], [file["path"] for file in plan["files"]]


def in_step(request: str, plan: str, rest: str) -> str:
    return f"Request: {request}\n\nPlan: {plan}\n\n{rest}"


def files_of(program: Program) -> dict[str, str]:
    """The files as they lie in the folder, whatever the catalog says."""
    folder = Path(catalog.__file__).parent / "programs" / program.name
    paths = [path for path in folder.iterdir() if path.is_file()]
    return {path.name: path.read_bytes().decode() for path in paths}


async def write_all(client: AsyncOpenAI, request: str, plan: str, paths: list[str]) -> list[str]:
    prompts = [in_step(request, plan, f"File: {path}") for path in paths]
    return await asyncio.gather(*(ask(client, WRITE, prompt) for prompt in prompts))


def run(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", *args]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30)


@every_program
async def test_a_program_arrives_byte_for_byte(client: AsyncOpenAI, program: Program) -> None:
    request = REQUESTS[program.name]
    answer = await ask(client, PLAN, request)
    plan = json.loads(answer)
    paths = [file["path"] for file in plan["files"]]
    expected = files_of(program)
    assert set(paths) == set(expected)
    contents = await write_all(client, request, plan["summary"], paths)
    if program is GREETER:
        asked_for = 'REQUEST = "Compute the first ten primes."'
        expected["greeter.py"] = expected["greeter.py"].replace('REQUEST = "Say hello"', asked_for)
    assert dict(zip(paths, contents, strict=True)) == expected


@every_program
async def test_answers_have_the_length_of_a_lessons_scene(
    client: AsyncOpenAI, program: Program
) -> None:
    request = REQUESTS[program.name]
    plan = await ask(client, PLAN, request)
    assert 60 <= tokens.count(plan) <= 120
    review = await ask(client, REVIEW, in_step(request, plan, "File: store.py\n…"))
    assert 40 <= tokens.count(review) <= 90
    assert "python -m unittest" in review
    assert all(20 <= len(text.splitlines()) <= 70 for text in files_of(program).values())


@every_program
def test_a_program_passes_its_own_tests_in_a_bare_folder(tmp_path: Path, program: Program) -> None:
    for path, content in files_of(program).items():
        (tmp_path / path).write_text(content)
    result = run(tmp_path, "-m", "unittest")
    assert result.returncode == 0, result.stderr
    assert result.stderr.endswith("OK\n")
    count = sum(content.count("    def test_") for content in files_of(program).values())
    assert f"Ran {count} tests" in result.stderr
    spelled = {4: "four tests", 5: "five tests", 6: "six tests"}
    assert spelled[count] in program.answer or program is GREETER


@pytest.mark.parametrize(
    ("request_text", "name"),
    [
        ("Write a todo app", "todo_cli"),
        ("I need a TASK LIST.", "todo_cli"),
        ("A to-do list in flask, please", "todo_flask"),
        ("The to-do list with FastAPI, not Flask", "todo_fastapi"),
        ("Print the weather", "greeter"),
    ],
)
async def test_the_words_of_the_request_choose_the_program(
    client: AsyncOpenAI, request_text: str, name: str
) -> None:
    _, paths = await ask_for_plan(client, request_text)
    (program,) = [program for program in ALL if program.name == name]
    assert paths == list(program.purposes)


async def test_the_last_request_of_the_conversation_counts(client: AsyncOpenAI) -> None:
    first = REQUESTS["todo_cli"]
    interrupted = "(interrupted) The plan was: a to-do list for the command line."
    summary, _ = await ask_for_plan(client, first, interrupted, "Make it a Flask app")
    assert "Flask" in summary
    summary, _ = await ask_for_plan(
        client, first, interrupted, "Make it a Flask app", "Built it in Flask.", "Now FastAPI"
    )
    assert "FastAPI" in summary


def compact(plan: dict[str, Any]) -> str:
    return json.dumps(plan, separators=(",", ":"))


def indented(plan: dict[str, Any]) -> str:
    return json.dumps(plan, indent=4, ensure_ascii=False)


def prose(plan: dict[str, Any]) -> str:
    files = "\n".join(f"- {file['path']}: {file['purpose']}" for file in plan["files"])
    return f"{plan['summary']}\n{files}"


@pytest.mark.parametrize("form", [compact, indented, prose, repr])
@pytest.mark.parametrize(
    "request_text", ["Make it a Flask app", "Grüße alle, 'bitte' \"[so]\" \\n"]
)
async def test_a_plan_is_recognised_in_any_form(
    client: AsyncOpenAI, form: Any, request_text: str
) -> None:
    plan = json.loads(await ask(client, PLAN, request_text))
    paths = [file["path"] for file in plan["files"]]
    first, *_ = await write_all(client, request_text, form(plan), paths)
    if "Flask" in request_text:
        assert first == files_of(PROGRAMS[1])["app.py"]
    else:
        assert "REQUEST = \"Grüße alle, 'bitte' so n\"\n" in first


async def test_a_plan_outweighs_the_words_around_it(client: AsyncOpenAI) -> None:
    plan = await ask(client, PLAN, REQUESTS["todo_cli"])
    files = "File: README.md\nThere is a version in Flask and one in FastAPI, too.\n"
    review = await ask(client, REVIEW, in_step("Continue", plan, files))
    assert "for the command line" in review


@pytest.mark.parametrize(
    "request_text",
    ["", '"""', "a\\", "tab\t and\nline", "{braces} %s", "x" * 32_000, "é\u2028ß 🙂 \x00", "[a]b]"],
    ids=range(8),
)
async def test_any_other_request_gets_a_program_that_runs(
    client: AsyncOpenAI, tmp_path: Path, request_text: str
) -> None:
    plan = await ask(client, PLAN, request_text)
    paths = [file["path"] for file in json.loads(plan)["files"]]
    for path, content in zip(
        paths, await write_all(client, request_text, plan, paths), strict=True
    ):
        (tmp_path / path).write_text(content, encoding="utf-8")
    source = (tmp_path / "greeter.py").read_text(encoding="utf-8")
    assert 'REQUEST = "Say hello"' not in source
    assert max(map(len, source.splitlines())) <= 100
    scope: dict[str, Any] = {"__name__": "greeter"}
    exec(compile(source, "greeter.py", "exec"), scope)  # a process for each would take long
    assert scope["greeting"]("Ada") == "Hello, Ada."
    assert scope["REQUEST"]


async def test_the_greeter_repeats_the_request(client: AsyncOpenAI, tmp_path: Path) -> None:
    request = "Greet my cat"
    summary, paths = await ask_for_plan(client, request)
    for path, content in zip(paths, await write_all(client, request, summary, paths), strict=True):
        (tmp_path / path).write_text(content)
    assert run(tmp_path, "greeter.py", "Mia").stdout == "Hello, Mia.\nYou asked for: Greet my cat\n"
    assert run(tmp_path, "-m", "unittest").returncode == 0


def test_the_to_do_list_works_from_the_command_line(tmp_path: Path) -> None:
    for path, content in files_of(PROGRAMS[2]).items():
        (tmp_path / path).write_text(content)
    assert run(tmp_path, "todo.py", "add", "Buy milk").returncode == 0
    assert run(tmp_path, "todo.py", "list").stdout == "  1 [ ] Buy milk\n"
    assert run(tmp_path, "todo.py", "done", "9").stderr == "todo: there is no task 9\n"


async def test_a_file_that_was_not_planned_says_so(client: AsyncOpenAI) -> None:
    plan = await ask(client, PLAN, REQUESTS["todo_cli"])
    content = await ask(client, WRITE, in_step("to-do", plan, "File: ../../secret.py"))
    assert content.startswith("# ../../secret.py: ")
    assert len(content.splitlines()) == 1


async def test_other_prompts_get_an_answer_too(client: AsyncOpenAI) -> None:
    answer = await ask(client, "You are a poet.", "A haiku about Flask, please")
    assert answer.startswith("You said: A haiku about Flask, please\n")
    assert 40 <= tokens.count(answer) <= 90
