"""A to-do list as a FastAPI app. Start it with `hypercorn app:app`; its pages are at /docs."""

from functools import cache
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, StringConstraints

from store import Store, Task, UnknownTaskError

app = FastAPI(title="To-do list")


class NewTask(BaseModel):
    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class Change(BaseModel):
    done: bool


@cache
def get_store() -> Store:
    return Store(Path("todo.db"))


StoreDep = Annotated[Store, Depends(get_store)]


@app.get("/tasks")
def list_tasks(store: StoreDep) -> list[Task]:
    return store.tasks()


@app.post("/tasks", status_code=201)
def add_task(new: NewTask, store: StoreDep) -> Task:
    return store.add(new.title)


@app.patch("/tasks/{task_id}")
def change_task(task_id: int, change: Change, store: StoreDep) -> Task:
    return store.set_done(task_id, change.done)


@app.delete("/tasks/{task_id}", status_code=204)
def remove_task(task_id: int, store: StoreDep) -> None:
    store.remove(task_id)


@app.exception_handler(UnknownTaskError)
def unknown_task(request: Request, error: UnknownTaskError) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=404)
