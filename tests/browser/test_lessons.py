"""Every lesson as it is committed, in JupyterLab: light, dark, and in a narrow window.

The pictures are left in `build/browser/`, for people to look at.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.lab import Lab
from workbench.home import REPOSITORY

LESSONS = sorted(path.stem for path in (REPOSITORY / "notebooks").glob("[0-9]*.ipynb"))
PICTURES = REPOSITORY / "build" / "browser"


@pytest.mark.parametrize("lesson", LESSONS)
@pytest.mark.parametrize(
    ("look", "width", "dark"),
    [("light", 1200, False), ("dark", 1200, True), ("narrow", 640, False)],
)
def test_a_lesson_is_drawn_whole(
    reader: Lab, lesson: str, look: str, width: int, dark: bool
) -> None:
    notebook: Path = reader.root / "notebooks" / f"{lesson}.ipynb"
    with reader.page(notebook, width=width, dark=dark) as page:
        page.save_pictures(PICTURES / f"{lesson}-{look}")
        assert page.broken() == []
