"""The programs that the model knows by heart; their files are in `programs/`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True)
class Program:
    """A program: which words ask for it, what its plan says, and what is said at the end."""

    name: str
    words: tuple[str, ...]
    summary: str
    purposes: Mapping[str, str]
    answer: str

    def read(self, path: str) -> str:
        return (_PROGRAMS / self.name / path).read_text(encoding="utf-8")


_TODO_FASTAPI = Program(
    name="todo_fastapi",
    words=("fastapi",),
    summary="A to-do list as a FastAPI app: tasks are listed, added, changed and removed over "
    "HTTP and kept in SQLite.",
    purposes={
        "app.py": "the routes and their input models",
        "store.py": "the tasks in SQLite: list, add, set done, remove",
        "test_app.py": "tests through FastAPI's test client",
    },
    answer="I built the to-do list as a FastAPI app in app.py; store.py keeps the tasks in SQLite, "
    "in todo.db. Start it with `hypercorn app:app` and try it at /docs. Run the six tests with "
    "`python -m unittest`. An empty title is refused, and an unknown task is a 404.",
)

_TODO_FLASK = Program(
    name="todo_flask",
    words=("flask",),
    summary="A to-do list as a Flask app: tasks are listed, added, changed and removed over HTTP "
    "and kept in a JSON file.",
    purposes={
        "app.py": "the routes and the errors, all of them as JSON",
        "store.py": "the tasks in a JSON file, safe to use from several threads",
        "test_app.py": "tests through Flask's test client",
    },
    answer="I built the to-do list as a Flask app in app.py; store.py keeps the tasks in todo.json "
    "and locks the file for each change. Start it with `flask run` and open /tasks. Run the six "
    "tests with `python -m unittest`. Errors come as JSON, and an unknown task is a 404.",
)

_TODO_CLI = Program(
    name="todo_cli",
    words=("to-do", "todo", "task list"),
    summary="A to-do list for the command line: tasks are added, listed, done and removed, and "
    "kept in a JSON file.",
    purposes={
        "todo.py": "the four commands",
        "store.py": "the tasks in a JSON file",
        "test_todo.py": "tests of every command",
        "README.md": "how to use it",
    },
    answer="I built a to-do list for the command line: todo.py holds the commands and store.py "
    'keeps the tasks in todo.json. Try `python todo.py add "Buy milk"` and then '
    "`python todo.py list`. Run the five tests with `python -m unittest`. The README says more.",
)

# In this order, because "the to-do list, in Flask" names two of them.
PROGRAMS = (_TODO_FASTAPI, _TODO_FLASK, _TODO_CLI)

GREETER = Program(
    name="greeter",
    words=(),
    summary="A small greeter for the command line, asked for with these words:",
    purposes={
        "greeter.py": "the greeter and its command line; it also prints the request",
        "test_greeter.py": "tests of the greeting and of the command",
    },
    answer="I am a scripted model and know three programs by heart: a to-do list for the command "
    "line, in Flask and in FastAPI. For any other request I write a small greeter that repeats "
    "your words. Run it with `python greeter.py Ada` and test it with `python -m unittest`.",
)
