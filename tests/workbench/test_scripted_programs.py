"""The programs that the scripted model writes: they are chosen by the words of the request, arrive
byte for byte through the agent's three steps, and run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.scripted_model import answers
from workbench.scripted_model.answers import GREETER, PROGRAMS, Program, answer_to
from workbench.scripted_model.openai_format import Message, tokens

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


def ask(system: str, *conversation: str) -> str:
    """The answer to a conversation in which user and assistant take turns."""
    messages = [Message(role="system", content=f"{system}\nAnswer as you are told.")]
    for number, content in enumerate(conversation):
        messages.append(Message(role="assistant" if number % 2 else "user", content=content))
    return answer_to(messages)


def in_step(request: str, plan: str, rest: str) -> str:
    return f"Request: {request}\n\nPlan: {plan}\n\n{rest}"


def paths_in(plan: str) -> list[str]:
    return [file["path"] for file in json.loads(plan)["files"]]


def write_all(request: str, plan: str, paths: list[str]) -> dict[str, str]:
    return {path: ask(WRITE, in_step(request, plan, f"File: {path}")) for path in paths}


def files_of(program: Program) -> dict[str, str]:
    """The files as they lie in the folder, whatever the catalog says."""
    folder = Path(answers.__file__).parent / "programs" / program.name
    return {path.name: path.read_bytes().decode() for path in folder.iterdir() if path.is_file()}


@every_program
def test_a_program_arrives_byte_for_byte(program: Program) -> None:
    request = REQUESTS[program.name]
    plan = ask(PLAN, request)
    assert set(json.loads(plan)) == {"summary", "files"}
    expected = files_of(program)
    if program is GREETER:
        asked_for = 'REQUEST = "Compute the first ten primes."'
        expected["greeter.py"] = expected["greeter.py"].replace('REQUEST = "Say hello"', asked_for)
    assert write_all(request, plan, paths_in(plan)) == expected
    review = ask(REVIEW, in_step(request, plan, "File: store.py\n…"))
    assert "python -m unittest" in review
    # The lengths of a lesson's scene.
    assert 60 <= len(tokens(plan)) <= 120
    assert 40 <= len(tokens(review)) <= 90
    assert all(20 <= len(text.splitlines()) <= 70 for text in expected.values())


@every_program
def test_a_program_passes_its_own_tests_in_a_bare_folder(tmp_path: Path, program: Program) -> None:
    for path, content in files_of(program).items():
        (tmp_path / path).write_text(content)
    command = [sys.executable, "-W", "error", "-m", "unittest"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert run.returncode == 0, run.stderr
    (count,) = re.findall(r"Ran (\d+) tests", run.stderr)
    spelled = {"4": "four tests", "5": "five tests", "6": "six tests"}
    assert spelled[count] in program.answer or program is GREETER


@pytest.mark.parametrize(
    ("conversation", "name"),
    [
        (["Write a todo app"], "todo_cli"),
        (["I need a TASK LIST."], "todo_cli"),
        (["A to-do list in flask, please"], "todo_flask"),
        (["The to-do list with FastAPI, not Flask"], "todo_fastapi"),
        (["Print the weather"], "greeter"),
        (["A to-do list", "(interrupted) The plan: a to-do list", "In Flask"], "todo_flask"),
        (["A to-do list", "", "In Flask", "Built it in Flask.", "Now FastAPI"], "todo_fastapi"),
    ],
)
def test_the_words_of_the_last_request_choose_the_program(
    conversation: list[str], name: str
) -> None:
    (program,) = [program for program in ALL if program.name == name]
    assert paths_in(ask(PLAN, *conversation)) == list(program.purposes)


def prose(plan: dict[str, Any]) -> str:
    files = "\n".join(f"- {file['path']}: {file['purpose']}" for file in plan["files"])
    return f"{plan['summary']}\n{files}"


@pytest.mark.parametrize("form", [json.dumps, prose, repr])
def test_a_plan_is_recognised_in_any_form(form: Callable[[Any], str]) -> None:
    plan = json.loads(ask(PLAN, "Make it a Flask app"))
    request = in_step("Make it a Flask app", form(plan), "File: app.py")
    assert ask(WRITE, request) == files_of(PROGRAMS[1])["app.py"]
    greeting = "Grüße alle, 'bitte' \"[so]\" \\n"
    plan = json.loads(ask(PLAN, greeting))
    request = in_step(greeting, form(plan), "File: greeter.py")
    assert "REQUEST = \"Grüße alle, 'bitte' so n\"\n" in ask(WRITE, request)


def test_a_plan_outweighs_the_words_around_it() -> None:
    plan = ask(PLAN, REQUESTS["todo_cli"])
    files = "File: README.md\nThere is a version in Flask and one in FastAPI, too.\n"
    assert "for the command line" in ask(REVIEW, in_step("Continue", plan, files))
    content = ask(WRITE, in_step("to-do", plan, "File: ../../secret.py"))
    assert content.startswith("# ../../secret.py: ")
    assert ask("You are a poet.", "A haiku").startswith("You said: A haiku\n")


@pytest.mark.parametrize(
    "request_text",
    ["", '"""', "a\\", "tab\t and\nline", "{braces} %s", "x" * 32_000, "é\u2028ß 🙂 \x00", "[a]b]"],
    ids=range(8),
)
def test_any_other_request_gets_a_program_that_runs(request_text: str) -> None:
    plan = ask(PLAN, request_text)
    source = write_all(request_text, plan, paths_in(plan))["greeter.py"]
    assert 'REQUEST = "Say hello"' not in source
    assert max(map(len, source.splitlines())) <= 100
    scope: dict[str, Any] = {"__name__": "greeter"}
    exec(compile(source, "greeter.py", "exec"), scope)  # a process for each would take long
    assert scope["greeting"]("Ada") == "Hello, Ada."
    assert scope["REQUEST"]
