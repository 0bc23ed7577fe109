"""A to-do list for the command line: add, list, done and remove."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from store import Store, Task, UnknownTaskError


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="todo", description=__doc__)
    parser.add_argument("--file", type=Path, default=Path("todo.json"), help="where tasks are kept")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("add", help="add a task").add_argument("title")
    commands.add_parser("list", help="list all tasks")
    commands.add_parser("done", help="mark a task as done").add_argument("id", type=int)
    commands.add_parser("remove", help="remove a task").add_argument("id", type=int)
    return parser


def show(task: Task) -> str:
    return f"{task.id:>3} [{'x' if task.done else ' '}] {task.title}"


def run(args: argparse.Namespace) -> list[str]:
    """Do what was asked for and return the lines to print."""
    store = Store(args.file)
    if args.command == "add":
        return [show(store.add(args.title))]
    if args.command == "done":
        return [show(store.complete(args.id))]
    if args.command == "remove":
        return [f"Removed: {store.remove(args.id).title}"]
    return [show(task) for task in store.tasks()] or ["Nothing to do."]


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    try:
        lines = run(args)
    except UnknownTaskError as error:
        print(f"todo: {error}", file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
