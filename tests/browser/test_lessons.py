"""Every lesson as a reader sees it: in JupyterLab as it is committed and run from the menu, and as
a page from a file, with scripts off and without network.

The pictures are left in `build/browser/`, for people to look at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from notebooks.site import write_page
from tests.browser.lab import Lab
from workbench.clients import wait_until
from workbench.jupyterlab import COPIES
from workbench.state_dir import REPOSITORY

pytestmark = pytest.mark.timeout(180)  # the first page of JupyterLab is slow
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


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_runs_from_the_menu(reader: Lab, lesson: str) -> None:
    notebook = reader.root / COPIES / f"run_{lesson}.ipynb"
    book = nbformat.read(reader.root / COPIES / f"{lesson}.ipynb", as_version=4)
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


def _last_count(notebook: Path) -> int | None:
    """The execution count of the last code cell, as saved."""
    try:
        cells = nbformat.read(notebook, as_version=4).cells
    except ValueError:  # it is being written
        return None
    count: int | None = [cell for cell in cells if cell.cell_type == "code"][-1].execution_count
    return count


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_page_is_whole_without_scripts(browser: Any, tmp_path: Path, lesson: str) -> None:
    write_page(REPOSITORY / "notebooks" / f"{lesson}.ipynb", tmp_path)
    for look, width in (("wide", 1200), ("narrow", 640)):
        context = browser.new_context(
            java_script_enabled=False, offline=True, viewport={"width": width, "height": 1500}
        )
        try:
            page = context.new_page()
            page.goto((tmp_path / f"{lesson}.html").as_uri())
            PICTURES.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=PICTURES / f"{lesson}-page-{look}.png", full_page=True)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        finally:
            context.close()
