"""The parts of a command line that name lessons."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NoReturn

import _lessons

__all__ = ["LessonParser", "count"]


class LessonParser(argparse.ArgumentParser):
    """Shows the lessons with its help and with every error."""

    def __init__(self, **options: Any) -> None:
        layout = argparse.RawDescriptionHelpFormatter
        super().__init__(epilog=_lessons.listing(), formatter_class=layout, **options)

    def error(self, message: str) -> NoReturn:
        """Exit with 2, saying what is wrong and which lessons there are."""
        self.exit(2, f"{self.format_usage()}{self.prog}: error: {message}\n{_lessons.listing()}\n")

    def choose(self, names: list[str]) -> list[Path]:
        """The lessons that `names` mean, all where there are none; exits where one means none."""
        try:
            lessons = _lessons.choose(names)
        except ValueError as error:
            self.error(str(error))
        if not lessons:
            self.error("there are no lessons in notebooks/")
        return lessons


def count(text: str) -> int:
    """A whole number from 1, for `type=`."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)
