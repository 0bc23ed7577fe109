"""The site of the lessons, made of the committed notebooks without running them."""

from __future__ import annotations

from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from tests.site_links import broken_links
from workbench.series.outcome import Outcome
from workbench.series.site.site import Site
from workbench.state_dir import REPOSITORY


@pytest.mark.timeout(240)  # where no diagram has been drawn before
def test_the_lessons_make_a_whole_site(tmp_path: Path) -> None:
    lessons = sorted((REPOSITORY / "notebooks").glob("[0-9][0-9]*.ipynb"))
    outcomes = [Outcome(lesson=lesson, copy=lesson, seconds=0.0) for lesson in lessons]
    site = Site(lessons, tmp_path)

    for outcome in outcomes:
        site.write_lesson(outcome)
        (tmp_path / outcome.lesson.name).touch()  # what the contents page calls the executed copy
    site.write_contents(outcomes, {})

    assert broken_links(tmp_path) == []
    for lesson in lessons:
        soup = BeautifulSoup((tmp_path / f"{lesson.stem}.html").read_text(), "html.parser")
        texts = [str(image["alt"]) for image in soup.select("img")]
        assert texts
        assert not {"", "Figure", "No description has been provided for this image"} & set(texts)
        assert not soup.select("script")
    contents = BeautifulSoup((tmp_path / "index.html").read_text(), "html.parser")
    linked = [str(link["href"]) for link in contents.select("main td a[href$='.html']")]
    assert linked == [f"{lesson.stem}.html" for lesson in lessons]
