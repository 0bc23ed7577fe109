"""The tasks of the to-do app, kept in one JSON file."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
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
        # Flask answers requests in several threads: without the lock, two of them could read the
        # same list and the second one to write would lose the other's change.
        self._lock = threading.Lock()

    def tasks(self) -> list[Task]:
        return list(self._load().values())

    def add(self, title: str) -> Task:
        with self._lock:
            tasks = self._load()
            task = Task(id=max(tasks, default=0) + 1, title=title)
            self._save({**tasks, task.id: task})
        return task

    def set_done(self, task_id: int, done: bool) -> Task:
        with self._lock:
            tasks = self._load()
            task = replace(_find(tasks, task_id), done=done)
            self._save({**tasks, task_id: task})
        return task

    def remove(self, task_id: int) -> None:
        with self._lock:
            tasks = self._load()
            tasks.pop(_find(tasks, task_id).id)
            self._save(tasks)

    def _load(self) -> dict[int, Task]:
        if not self._path.exists():
            return {}
        items = json.loads(self._path.read_text(encoding="utf-8"))
        return {item["id"]: Task(**item) for item in items}

    def _save(self, tasks: dict[int, Task]) -> None:
        draft = self._path.with_suffix(".tmp")
        draft.write_text(json.dumps([asdict(task) for task in tasks.values()]), encoding="utf-8")
        os.replace(draft, self._path)


def _find(tasks: dict[int, Task], task_id: int) -> Task:
    if task_id not in tasks:
        raise UnknownTaskError(f"there is no task {task_id}")
    return tasks[task_id]
