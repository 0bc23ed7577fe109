"""Checks that every link within a folder of web pages leads somewhere."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup


def broken_links(site: Path) -> list[str]:
    """What is wrong with the links and images of the pages in `site`, one line each.

    Links to other hosts are not followed.
    """
    pages = {
        page.resolve(): BeautifulSoup(page.read_text(), "html.parser")
        for page in site.rglob("*.html")
    }
    anchors = {
        page: {str(one["id"]) for one in soup.select("[id]")} for page, soup in pages.items()
    }
    wrong = []
    for page, soup in pages.items():
        for element in soup.select("[href], [src]"):
            link = str(element.get("href") or element.get("src"))
            url = urlsplit(link)
            if url.scheme or url.netloc:
                continue
            target = (page.parent / unquote(url.path)).resolve() if url.path else page
            if not target.is_file() or not target.is_relative_to(site.resolve()):
                wrong.append(f"{page.name}: {link}: no such file in the site")
            elif url.fragment and not {url.fragment, unquote(url.fragment)} & anchors[target]:
                wrong.append(f"{page.name}: {link}: no such place in the page")
    return wrong
