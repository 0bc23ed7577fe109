"""Tests of the greeter."""

from __future__ import annotations

import contextlib
import io
import unittest

import greeter


class GreeterTest(unittest.TestCase):
    def test_it_greets_by_name(self) -> None:
        self.assertEqual(greeter.greeting("Ada"), "Hello, Ada.")

    def test_it_can_be_excited(self) -> None:
        self.assertEqual(greeter.greeting(" Ada ", excited=True), "Hello, Ada!")

    def test_it_needs_a_name(self) -> None:
        with self.assertRaises(ValueError):
            greeter.greeting("  ")

    def test_the_command_says_what_was_asked_for(self) -> None:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            code = greeter.main(["Ada"])
        self.assertEqual(code, 0)
        self.assertEqual(printed.getvalue(), f"Hello, Ada.\nYou asked for: {greeter.REQUEST}\n")


if __name__ == "__main__":
    unittest.main()
