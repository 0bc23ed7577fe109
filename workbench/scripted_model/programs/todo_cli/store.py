"""The tasks of the to-do list, kept in one JSON file."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass
class Task:
    id: int
    title: str
    done: bool = False


class UnknownTaskError(LookupError):
    pass


class Store:
    """Load and change the tasks in `path`; an unknown id raises UnknownTaskError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def tasks(self) -> list[Task]:
        if not self._path.exists():
            return []
        return [Task(**item) for item in json.loads(self._path.read_text(encoding="utf-8"))]

    def add(self, title: str) -> Task:
        tasks = self.tasks()
        task = Task(id=max((task.id for task in tasks), default=0) + 1, title=title)
        self._save([*tasks, task])
        return task

    def complete(self, task_id: int) -> Task:
        tasks = self.tasks()
        task = _find(tasks, task_id)
        task.done = True
        self._save(tasks)
        return task

    def remove(self, task_id: int) -> Task:
        tasks = self.tasks()
        task = _find(tasks, task_id)
        tasks.remove(task)
        self._save(tasks)
        return task

    def _save(self, tasks: list[Task]) -> None:
        # Written beside the file and moved over it: a crash never leaves half a list.
        draft = self._path.with_suffix(".tmp")
        draft.write_text(json.dumps([asdict(task) for task in tasks], indent=2), encoding="utf-8")
        os.replace(draft, self._path)


def _find(tasks: list[Task], task_id: int) -> Task:
    for task in tasks:
        if task.id == task_id:
            return task
    raise UnknownTaskError(f"there is no task {task_id}")
