"""What can be wrong with a lesson before it is run: its sections, its cells, its links."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import mistune
import nbformat

from workbench.series.check.variation import Variation
from workbench.state_dir import WorkbenchError

__all__ = ["Fault", "faults"]

_CODE_LINES = 40
_WORDS = 300
_OPENING = ("What you'll do", "What you'll learn", "What you'll need", "Time")
_CLOSING = ("What you have seen", "Clean up")
_PROOF = "✓"

_tokens = mistune.create_markdown(renderer="ast", plugins=["table", "strikethrough"])


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with a lesson as it stands in its file."""

    cell: int
    """Its place among all of the notebook's cells, from 1."""
    what: str


def faults(lesson: Path) -> list[Fault]:
    """All that is wrong with the form of the notebook `lesson`, cell after cell."""
    notebook = nbformat.read(lesson, as_version=4)
    found = [*_frame(lesson, notebook.cells)]
    executed = 0
    for number, cell in enumerate(notebook.cells, start=1):
        whats = [*_any_cell(cell)]
        if cell.cell_type == "code":
            executed += 1
            whats += [*_code(cell, executed)]
        elif cell.cell_type == "markdown":
            whats += [*_markdown(cell.source, lesson)]
        found += [Fault(number, what) for what in whats]
    return found


def _frame(lesson: Path, cells: list[nbformat.NotebookNode]) -> Iterator[Fault]:
    """How a lesson begins and ends."""
    first, last = (cells[0].source, cells[-1].source) if cells else ("", "")
    number = lesson.stem.partition("_")[0]
    if not re.match(rf"# {number} · \w", first):
        yield Fault(1, f"A lesson begins with its title: '# {number} · …'.")
    for label in _OPENING:
        if f"**{label}**" not in first:
            yield Fault(1, f"The opening does not say '**{label}**'.")
    for heading in _CLOSING:
        if not re.search(rf"^## {heading}$", last, re.MULTILINE):
            yield Fault(len(cells), f"The last cell has no section '## {heading}'.")
    if not re.search(r"\]\(\d\d_\w+\.ipynb\)", last):
        yield Fault(len(cells), "The last cell leads to no other lesson.")


def _any_cell(cell: nbformat.NotebookNode) -> Iterator[str]:
    if not cell.source.strip():
        yield "The cell is empty."
    try:
        Variation.of(cell.metadata.get("tags", []))
    except WorkbenchError as error:
        yield str(error)


def _code(cell: nbformat.NotebookNode, executed: int) -> Iterator[str]:
    if cell.execution_count != executed:
        yield (
            f"It was executed as number {cell.execution_count}, but stands in place {executed}: "
            "the outputs are not those of one run from top to bottom."
        )
    lines = len(cell.source.splitlines())
    if lines > _CODE_LINES:
        yield f"It has {lines} lines of code; a reader takes in {_CODE_LINES}."
    try:
        tree = ast.parse(cell.source)
    except SyntaxError as error:
        yield f"It is no Python: {error}."
        return
    asserts = [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    idle = [node for node in asserts if not _can_fail(node.test)]
    if idle:
        yield f"It could not fail: '{ast.unparse(idle[0])}' always holds."
    if _claims(tree) and len(asserts) == len(idle) and not _waits(tree):
        yield f"It could not fail: it prints {_PROOF}, and neither asserts nor waits."


def _can_fail(test: ast.expr) -> bool:
    """Whether the condition depends on anything that was seen."""
    if isinstance(test, ast.Tuple):  # `assert (condition, message)` always holds
        return not test.elts
    return any(isinstance(node, (ast.Name, ast.Call)) for node in ast.walk(test))


def _waits(tree: ast.AST) -> bool:
    """Whether it waits for a state, which fails when that does not come."""
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {call.attr for call in calls if isinstance(call, ast.Attribute)}
    return bool(names & {"wait_until", "wait_for"})


def _claims(tree: ast.AST) -> bool:
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return any(isinstance(text, str) and _PROOF in text for text in texts)


def _markdown(source: str, lesson: Path) -> Iterator[str]:
    words = len(source.split())
    if words > _WORDS:
        yield f"It has {words} words; {_WORDS} are enough between two cells of code."
    for token in _walk(_tokens(source)):
        if token["type"] in ("link", "image"):
            yield from _link(token["attrs"]["url"], lesson)
        if token["type"] == "image" and not _text(token).strip():
            yield f"The image {token['attrs']['url']} has no text for those who do not see it."


def _link(url: str, lesson: Path) -> Iterator[str]:
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        if not parts.hostname:
            yield f"The link {url} is broken: it names no host."
        return
    target = lesson.parent / unquote(parts.path) if parts.path else lesson
    if not target.exists():
        yield f"The link {url} is broken: there is no such file."
    elif (
        parts.fragment
        and target.suffix == ".ipynb"
        and unquote(parts.fragment) not in _anchors(target)
    ):
        yield f"The link {url} is broken: {target.name} has no such heading."


def _anchors(lesson: Path) -> set[str]:
    """The headings of a notebook as JupyterLab and nbconvert link to them."""
    return {
        _text(token).strip().replace(" ", "-")
        for cell in nbformat.read(lesson, as_version=4).cells
        if cell.cell_type == "markdown"
        for token in _walk(_tokens(cell.source))
        if token["type"] == "heading"
    }


def _walk(tokens: Any) -> Iterator[dict[str, Any]]:
    for token in tokens:
        yield token
        yield from _walk(token.get("children", ()))


def _text(token: dict[str, Any]) -> str:
    return "".join(part.get("raw", "") for part in _walk([token]))
