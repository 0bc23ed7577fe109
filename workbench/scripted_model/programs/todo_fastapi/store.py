"""The tasks of the to-do API, kept in one SQLite file."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pydantic import BaseModel


class Task(BaseModel):
    id: int
    title: str
    done: bool = False


class UnknownTaskError(LookupError):
    pass


class Store:
    """Load and change the tasks in `path`; an unknown id raises UnknownTaskError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._connect() as db:
            db.execute(
                "CREATE TABLE IF NOT EXISTS task "
                "(id INTEGER PRIMARY KEY, title TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0)"
            )

    def tasks(self) -> list[Task]:
        with self._connect() as db:
            return [Task(**dict(row)) for row in db.execute("SELECT * FROM task ORDER BY id")]

    def add(self, title: str) -> Task:
        with self._connect() as db:
            cursor = db.execute("INSERT INTO task (title) VALUES (?)", (title,))
            return _find(db, cursor.lastrowid)

    def set_done(self, task_id: int, done: bool) -> Task:
        with self._connect() as db:
            db.execute("UPDATE task SET done = ? WHERE id = ?", (done, task_id))
            return _find(db, task_id)

    def remove(self, task_id: int) -> None:
        with self._connect() as db:
            _find(db, task_id)
            db.execute("DELETE FROM task WHERE id = ?", (task_id,))

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        # One short connection per call: FastAPI runs the routes in a pool of threads, and a
        # connection belongs to one thread. The inner `with` commits, or rolls back on an error.
        with closing(sqlite3.connect(self._path)) as db, db:
            db.row_factory = sqlite3.Row
            yield db


def _find(db: sqlite3.Connection, task_id: int | None) -> Task:
    row = db.execute("SELECT * FROM task WHERE id = ?", (task_id,)).fetchone()
    if row is None:
        raise UnknownTaskError(f"there is no task {task_id}")
    return Task(**dict(row))
