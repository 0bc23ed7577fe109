"""Makes the HTML of one page from a notebook, with nbconvert and the template beside this file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from bs4 import BeautifulSoup, Tag
from jinja2 import pass_context
from jinja2.runtime import Context
from nbconvert.exporters import HTMLExporter

from workbench.series.shapes import KEEP_SHAPES
from workbench.series.site.diagram import diagram_image

_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")


@dataclass(frozen=True)
class Page:
    """One page, besides what stands in it."""

    name: str
    """What an error calls it."""
    title: str
    folder: Path
    """Where the images are that it names."""
    target: Callable[[str], str | None]
    """What one of its links has to be; None: no link."""
    ways: Mapping[str, Mapping[str, str] | None]
    """`prev`, `contents` and `next`, each with `href` and `text` if there is one."""
    failures: Sequence[Mapping[str, str]] = ()
    """Each with `verdict`, `error`, and the `href` of its cell or an empty one."""


class PageExporter(HTMLExporter):
    """nbconvert's HTML, with the site's links, and diagrams that are images.

    It makes one page at a time.
    """

    def __init__(self) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            template_name="page",
            extra_template_basedirs=[str(Path(__file__).with_name("template"))],
            embed_images=True,
        )

    def render(self, book: nbformat.NotebookNode, page: Page) -> str:
        """The HTML of a page. Raises WorkbenchError when a diagram in it cannot be drawn."""
        self._page = page
        self._heading = ""
        book.metadata["title"] = page.title
        resources = {
            "metadata": {"name": page.name, "path": str(page.folder)},
            "ways": page.ways,
            "failures": page.failures,
            "shapes": KEEP_SHAPES,
        }
        html, _ = self.from_notebook_node(book, resources)
        return html

    def default_filters(self) -> Iterator[tuple[str, Any]]:
        """nbconvert's filters, and the template's own."""
        yield from super().default_filters()  # type: ignore[no-untyped-call]
        yield "site_links", self.site_links

    @pass_context
    def markdown2html(self, context: Context, source: str) -> str:
        """The HTML of a Markdown cell or output."""
        return self.site_links(super().markdown2html(context, source))

    def site_links(self, html: str) -> str:
        """A piece of HTML with its links led to where they lead in the site, diagrams drawn."""
        soup = BeautifulSoup(html, "html.parser")
        for element in soup.find_all([*_HEADINGS, "a", "pre"]):
            if element.name == "a":
                self._lead(element)
            elif element.name != "pre":
                self._heading = element.get_text().rstrip("¶")
            elif "mermaid" in element.get_attribute_list("class"):
                for line_break in element.find_all("br"):
                    line_break.replace_with("<br/>")  # it is mermaid's
                near = element.find_next("p") or element.find_previous("p")
                caption = near.get_text() if near else self._heading
                image = diagram_image(element.get_text(), caption, self._page.name)
                element.replace_with(BeautifulSoup(image, "html.parser"))
        return str(soup)

    def _lead(self, link: Tag) -> None:
        href = link.get("href")
        if href is None:
            return
        target = self._page.target(str(href))
        if target is None:
            link.unwrap()
        else:
            link["href"] = target
