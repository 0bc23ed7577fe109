"""Which lessons there are, and which ones a person means."""

from __future__ import annotations

import re
from pathlib import Path

from _setup import REPOSITORY


def find_lessons() -> list[Path]:
    """The lessons' notebooks, in the order of their numbers."""
    return sorted((REPOSITORY / "notebooks").glob("[0-9][0-9]*.ipynb"))


def choose(names: list[str]) -> list[Path]:
    """The lessons that `names` mean, in the series' order; all of them where there are no names.

    A name is a number (`2`, `02`), the notebook's name or its path. Raises ValueError for another.
    """
    lessons = find_lessons()
    if not names:
        return lessons
    chosen = {_choose_one(name, lessons) for name in names}
    return [lesson for lesson in lessons if lesson in chosen]


def listing() -> str:
    """The lessons' names, one a line, to be shown with help and errors."""
    lessons = find_lessons()
    return "\n".join(
        ["The lessons:", *(f"  {path.stem}" for path in lessons or [Path("none yet")])]
    )


def _choose_one(name: str, lessons: list[Path]) -> Path:
    for lesson in lessons:
        number = re.match(r"\d+", lesson.stem)
        if lesson.stem == Path(name).stem or (number and number.group() == name.zfill(2)):
            return lesson
    raise ValueError(f"there is no lesson {name!r}")
