"""The site of the lessons, read from a file with scripts off and without network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from notebooks.site import write_page
from tests.browser.test_lessons import LESSONS, PICTURES
from workbench.state_dir import REPOSITORY


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page of each lesson as it is committed."""
    folder = tmp_path_factory.mktemp("pages")
    lessons = [REPOSITORY / "notebooks" / f"{lesson}.ipynb" for lesson in LESSONS]
    for lesson in lessons:
        write_page(lesson, folder)
    return folder


@pytest.mark.timeout(120)
@pytest.mark.parametrize("lesson", LESSONS)
def test_a_page_is_whole_without_scripts(browser: Any, pages: Path, lesson: str) -> None:
    for look, width in (("wide", 1200), ("narrow", 640)):
        context = browser.new_context(
            java_script_enabled=False, offline=True, viewport={"width": width, "height": 1500}
        )
        try:
            page = context.new_page()
            page.goto((pages / f"{lesson}.html").as_uri())
            PICTURES.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=PICTURES / f"{lesson}-page-{look}.png", full_page=True)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            images = page.evaluate(_IMAGES)
            assert images
            for image in images:
                assert image["drawn"], image["words"]
                assert len(image["words"].split()) > 3, image["words"]
        finally:
            context.close()


_IMAGES = """() => [...document.images].map(image => ({
  drawn: image.complete && image.naturalWidth > 0,
  words: image.alt,
}))"""
