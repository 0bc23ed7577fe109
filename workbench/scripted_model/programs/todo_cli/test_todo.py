"""Tests of the to-do list, through its command line."""

from __future__ import annotations

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

import todo


class TodoTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / "todo.json"

    def todo(self, *args: str) -> tuple[int, str]:
        """Run one command; return its exit code and all that it printed."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            code = todo.main(["--file", str(self.file), *args])
        return code, printed.getvalue()

    def test_an_empty_list_says_so(self) -> None:
        self.assertEqual(self.todo("list"), (0, "Nothing to do.\n"))

    def test_tasks_are_kept_between_commands(self) -> None:
        self.todo("add", "Buy milk")
        self.todo("add", "Call Ada")
        self.assertEqual(self.todo("list"), (0, "  1 [ ] Buy milk\n  2 [ ] Call Ada\n"))

    def test_a_task_can_be_done(self) -> None:
        self.todo("add", "Buy milk")
        self.assertEqual(self.todo("done", "1"), (0, "  1 [x] Buy milk\n"))

    def test_a_task_can_be_removed(self) -> None:
        self.todo("add", "Buy milk")
        self.assertEqual(self.todo("remove", "1"), (0, "Removed: Buy milk\n"))
        self.assertEqual(self.todo("list"), (0, "Nothing to do.\n"))

    def test_an_unknown_task_is_an_error(self) -> None:
        self.assertEqual(self.todo("done", "7"), (1, "todo: there is no task 7\n"))


if __name__ == "__main__":
    unittest.main()
