"""A to-do list as a Flask app. Start it with `flask run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask, abort, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from store import Store, UnknownTaskError


def create_app(file: Path = Path("todo.json")) -> Flask:
    app = Flask(__name__)
    store = Store(file)

    @app.get("/tasks")
    def list_tasks() -> ResponseReturnValue:
        return jsonify(store.tasks())

    @app.post("/tasks")
    def add_task() -> ResponseReturnValue:
        title = field("title", str).strip()
        if not title:
            abort(400, "'title' must not be empty")
        return jsonify(store.add(title)), 201

    @app.patch("/tasks/<int:task_id>")
    def change_task(task_id: int) -> ResponseReturnValue:
        return jsonify(store.set_done(task_id, field("done", bool)))

    @app.delete("/tasks/<int:task_id>")
    def remove_task(task_id: int) -> ResponseReturnValue:
        store.remove(task_id)
        return "", 204

    @app.errorhandler(UnknownTaskError)
    def unknown_task(error: UnknownTaskError) -> ResponseReturnValue:
        return {"error": str(error)}, 404

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> ResponseReturnValue:
        return {"error": error.description}, error.code or 500

    return app


def field(name: str, kind: type) -> Any:
    """Return a field of the request's JSON object, or answer 400."""
    body = request.get_json()
    value = body.get(name) if isinstance(body, dict) else None
    if not isinstance(value, kind):
        abort(400, f"'{name}' must be a {kind.__name__}")
    return value


if __name__ == "__main__":
    create_app().run()
