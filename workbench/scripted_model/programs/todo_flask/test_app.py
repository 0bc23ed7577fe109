"""Tests of the to-do app, with Flask's test client: no server and no port is needed."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from app import create_app


class AppTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / "todo.json"
        self.client = create_app(self.file).test_client()

    def add(self, title: str) -> None:
        response = self.client.post("/tasks", json={"title": title})
        self.assertEqual(response.status_code, 201)

    def test_a_new_list_is_empty(self) -> None:
        self.assertEqual(self.client.get("/tasks").json, [])

    def test_tasks_survive_a_restart(self) -> None:
        self.add("Buy milk")
        restarted = create_app(self.file).test_client()
        expected = [{"id": 1, "title": "Buy milk", "done": False}]
        self.assertEqual(restarted.get("/tasks").json, expected)

    def test_a_task_can_be_done(self) -> None:
        self.add("Buy milk")
        response = self.client.patch("/tasks/1", json={"done": True})
        self.assertEqual(response.json, {"id": 1, "title": "Buy milk", "done": True})

    def test_a_task_can_be_removed(self) -> None:
        self.add("Buy milk")
        self.assertEqual(self.client.delete("/tasks/1").status_code, 204)
        self.assertEqual(self.client.get("/tasks").json, [])

    def test_an_unknown_task_is_404(self) -> None:
        response = self.client.delete("/tasks/7")
        self.assertEqual(response.status_code, 404)
        self.assertEqual(response.json, {"error": "there is no task 7"})

    def test_bad_input_is_400(self) -> None:
        for body in ({}, {"title": "  "}, {"title": 7}, ["Buy milk"]):
            with self.subTest(body=body):
                self.assertEqual(self.client.post("/tasks", json=body).status_code, 400)


if __name__ == "__main__":
    unittest.main()
