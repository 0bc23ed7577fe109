"""The pages of the lessons, made of the committed notebooks without running them."""

from __future__ import annotations

import re
import shutil
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup

from notebooks.site import main, write_page
from workbench.state_dir import REPOSITORY

pytestmark = pytest.mark.timeout(120)  # all pages are made in the first one's time
LESSONS = sorted((REPOSITORY / "notebooks").glob("[0-9][0-9]_*.ipynb"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All pages."""
    folder = tmp_path_factory.mktemp("pages")
    for lesson in LESSONS:
        shutil.copy(lesson, folder)
    main(folder)
    return folder


@cache
def _soup(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


@cache
def _places(page: Path) -> set[str]:
    return {str(element["id"]) for element in _soup(page).select("[id]")}


def _broken_links(page: Path) -> list[str]:
    """The links and images that lead to no file or place here; other hosts are not asked."""
    broken = []
    for element in _soup(page).select("[href], [src]"):
        link = str(element.get("href") or element.get("src"))
        url = urlsplit(link)
        if url.scheme or url.netloc:
            continue
        target = (page.parent / unquote(url.path)).resolve() if url.path else page
        places = {url.fragment, unquote(url.fragment)}
        if not target.exists() or (url.fragment and not places & _places(target)):
            broken.append(link)
    return broken


def test_no_link_is_broken(pages: Path) -> None:
    assert [_broken_links(page) for page in sorted(pages.glob("*.html"))] == [[]] * 10


def test_a_broken_link_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    page.write_text('<a href="b.html"><img src="c.png"><p id="x"><a href="#y">')
    assert _broken_links(page) == ["b.html", "c.png", "#y"]


def test_pages_need_neither_network_nor_scripts(pages: Path) -> None:
    for page in pages.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "<script" not in text
        assert not re.search(r"""<link|@import|src=["']?(https?:)?//|127.0.0.1:\d+/ui""", text)
        assert 'name="viewport"' in text


def test_pages_lead_to_each_other(pages: Path) -> None:
    for before, page in pairwise(LESSONS):
        soup = _soup(pages / f"{page.stem}.html")
        assert [link["href"] for link in soup.select("nav a[rel=prev]")] == [
            f"{before.stem}.html"
        ] * 2
    links = [str(link["href"]) for link in _soup(pages / "index.html").select("a[href$='.html']")]
    assert links == [f"{lesson.stem}.html" for lesson in LESSONS]


def test_on_github_links_lead_to_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("SERVER_URL", "https://github.com"), ("REPOSITORY", "o/r"), ("SHA", "1a")):
        monkeypatch.setenv(f"GITHUB_{name}", value)
    lesson, cell = tmp_path / "00.ipynb", nbformat.v4.new_markdown_cell("[it](../agent/durable.py)")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), lesson)
    write_page(lesson, tmp_path)
    (link,) = _soup(tmp_path / "00.html").select("a[href*=durable]")
    assert link["href"] == "https://github.com/o/r/blob/1a/agent/durable.py"
