"""Every lesson in JupyterLab: as it is committed, in light, in dark and in a narrow window; and run
from the menu.

The pictures are left in `build/browser/`, for people to look at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.browser.lab import Lab
from workbench.clients import wait_until
from workbench.jupyterlab import COPIES
from workbench.state_dir import REPOSITORY

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
    notebook: Path = reader.root / COPIES / f"{lesson}.ipynb"
    with reader.page(notebook, width=width, dark=dark) as page:
        page.save_pictures(PICTURES / f"{lesson}-{look}")
        assert page.broken() == []


@pytest.mark.timeout(180)
@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_runs_from_the_menu(reader: Lab, lesson: str) -> None:
    notebook = reader.root / COPIES / f"run_{lesson}.ipynb"
    book = nbformat.read(reader.root / COPIES / f"{lesson}.ipynb", as_version=4)
    figures = [_count_figures(cell) for cell in book.cells]
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
    nbformat.write(book, notebook)

    with reader.page(notebook) as page:
        page.run_all()
        page.wait_until_run(timeout=120)
        page.save_pictures(PICTURES / f"{lesson}-run")
        page.save()
        wait_until(lambda: _last_count(notebook), what="the notebook to be saved")
        assert page.broken() == []

    cells = nbformat.read(notebook, as_version=4).cells
    for cell in cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error", output.evalue
            if "image/png" in output.get("data", {}):
                assert set(output.data) == {"image/png", "text/plain"}
                assert output.metadata["image/png"]["alt"]
    assert [_count_figures(cell) for cell in cells] == figures


def _count_figures(cell: Any) -> int:
    return sum("image/png" in output.get("data", {}) for output in cell.get("outputs", []))


def _last_count(notebook: Path) -> int | None:
    """The execution count of the last code cell, as saved."""
    try:
        cells = nbformat.read(notebook, as_version=4).cells
    except ValueError:  # it is being written
        return None
    count: int | None = [cell for cell in cells if cell.cell_type == "code"][-1].execution_count
    return count
