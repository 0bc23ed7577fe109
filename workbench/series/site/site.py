"""Writes the pages of a run: a page per lesson, the files that they link to, and the contents."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import nbformat

from workbench.series.about import About, about
from workbench.series.disk import make_folder, write_text
from workbench.series.executed import read_executed
from workbench.series.outcome import Outcome
from workbench.series.site.contents import TITLE, contents
from workbench.series.site.exporter import Page, PageExporter
from workbench.series.site.file_text import as_markdown
from workbench.series.site.links import new_target

CONTENTS = "index.html"
_FILES = "sources"  # not "files": nbconvert strips that from links


class Site:
    """The pages in the folder `build`. Not for several threads at once."""

    def __init__(self, lessons: Sequence[Path], build: Path) -> None:
        """`lessons` are notebooks of one folder, in their order, by absolute paths."""
        self._build = build
        self._root = lessons[0].parent.parent
        self._about: dict[Path, About] = {lesson: about(lesson) for lesson in lessons}
        self._files: dict[Path, str] = {}
        self._files_to_write: list[Path] = []
        self._exporter = PageExporter()

    def write_lesson(self, outcome: Outcome) -> None:
        """Write a lesson's page, and those of the files that it links to.

        Raises WorkbenchError when a diagram cannot be drawn, or a page cannot be written.
        """
        book, failures = read_executed(outcome), []
        for failure in outcome.failures:
            href = ""
            if failure.cell:
                cell = book.cells[failure.cell - 1]
                href = f"#cell-id={cell.id}"
                _show_error(cell, failure.verdict, failure.error)
            failures.append({"verdict": failure.verdict, "error": failure.error, "href": href})
        lessons = list(self._about)
        place = lessons.index(outcome.lesson)
        self._write(
            self._page_name(outcome.lesson),
            book,
            source=outcome.lesson,
            title=self._about[outcome.lesson].title,
            before=lessons[place - 1] if place else None,
            after=lessons[place + 1] if place + 1 < len(lessons) else None,
            failures=failures,
        )
        self._write_files()

    def write_contents(self, outcomes: Sequence[Outcome], facts: Mapping[str, str]) -> None:
        """Write the contents page: what became of each lesson, and the facts of the run."""
        by_lesson = {outcome.lesson: outcome for outcome in outcomes}
        text = contents(
            [(self._about[one], by_lesson[one]) for one in self._about if one in by_lesson], facts
        )
        self._write(CONTENTS, _book(text), source=self._build / CONTENTS, title=TITLE)

    def _write_files(self) -> None:
        while self._files_to_write:
            file = self._files_to_write.pop()
            text = as_markdown(file)
            self._write(self._files[file], _book(text), source=file, title=file.name)

    def _write(
        self,
        name: str,
        book: nbformat.NotebookNode,
        *,
        source: Path,
        title: str,
        before: Path | None = None,
        after: Path | None = None,
        failures: Sequence[Mapping[str, str]] = (),
    ) -> None:
        up = posixpath.relpath(CONTENTS, posixpath.dirname(name) or ".")
        page = Page(
            name=source.name,
            title=title,
            folder=source.parent,
            target=partial(new_target, source=source, page=name, page_of=self._page_of),
            ways={
                "prev": self._way("←", before),
                "contents": None if name == CONTENTS else {"href": up, "text": "Contents"},
                "next": self._way("→", after),
            },
            failures=failures,
        )
        path = self._build / name
        make_folder(path.parent)
        write_text(path, self._exporter.render(book, page))

    def _way(self, arrow: str, lesson: Path | None) -> dict[str, str] | None:
        if lesson is None:
            return None
        title = self._about[lesson].title
        text = f"{arrow} {title}" if arrow == "←" else f"{title} {arrow}"
        return {"href": self._page_name(lesson), "text": text}

    def _page_name(self, lesson: Path) -> str:
        return f"{lesson.stem}.html"

    def _page_of(self, file: Path) -> str | None:
        """The page of a lesson of this run, of another text file, or a file of the site itself."""
        if file in self._about:
            return self._page_name(file)
        if not file.is_file():
            return None
        if file.is_relative_to(self._build):
            return file.relative_to(self._build).as_posix()
        if not file.is_relative_to(self._root) or file.suffix == ".ipynb":
            return None
        if file not in self._files:
            self._files[file] = f"{_FILES}/{file.relative_to(self._root).as_posix()}.html"
            self._files_to_write.append(file)
        return self._files[file]


def _book(text: str) -> nbformat.NotebookNode:
    book: nbformat.NotebookNode = nbformat.v4.new_notebook()
    book.cells.append(nbformat.v4.new_markdown_cell(text))
    return book


def _show_error(cell: nbformat.NotebookNode, verdict: str, error: str) -> None:
    """Have the cell end with the error, unless it does: a kernel that is gone says nothing."""
    if cell.cell_type != "code" or any(one.output_type == "error" for one in cell.outputs):
        return
    shown = nbformat.v4.new_output(
        "error", ename=verdict, evalue="", traceback=error.splitlines() or [verdict]
    )
    cell.outputs.append(shown)
