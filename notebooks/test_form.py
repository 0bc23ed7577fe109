"""The form of the lessons: sections, cells, links, and proofs that can fail.

A rule takes a lesson and yields what is wrong, with the cell's place (from 1).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import mistune
import nbformat
import pytest

from notebooks.compare import variations_of

_CODE_LINES = 40
_WORDS = 300
_OPENING = ("What you'll do", "What you'll learn", "What you'll need", "Time")
_CLOSING = ("What you have seen", "Clean up")
_PROOF = "✓"

_tokens = mistune.create_markdown(renderer="ast", plugins=["table", "strikethrough"])

Faults = Iterator[tuple[int, str]]


def opening(lesson: Path) -> Faults:
    """A lesson begins with its title, and says what one does in it."""
    source = _cells(lesson)[0][1].source
    number = lesson.stem.partition("_")[0]
    if not re.match(rf"# {number} · \w", source):
        yield 1, f"A lesson begins with its title: '# {number} · …'."
    for label in _OPENING:
        if f"**{label}**" not in source:
            yield 1, f"The opening does not say '**{label}**'."


def closing(lesson: Path) -> Faults:
    """A lesson ends with what was seen, and leads to another one."""
    place, last = _cells(lesson)[-1]
    for heading in _CLOSING:
        if not re.search(rf"^## {heading}$", last.source, re.MULTILINE):
            yield place, f"The last cell has no section '## {heading}'."
    if not re.search(r"\]\(\d\d_\w+\.ipynb\)", last.source):
        yield place, "The last cell leads to no other lesson."


def order(lesson: Path) -> Faults:
    """The outputs are those of one run from top to bottom."""
    for number, (place, cell) in enumerate(_cells(lesson, "code"), start=1):
        if cell.execution_count != number:
            said = f"It was executed as number {cell.execution_count}"
            yield place, f"{said}, but it is code cell {number}: run it from top to bottom."


def length(lesson: Path) -> Faults:
    """No cell is empty, and none is longer than a reader takes in."""
    for place, cell in _cells(lesson):
        lines, words = len(cell.source.splitlines()), len(cell.source.split())
        if not cell.source.strip():
            yield place, "The cell is empty."
        elif cell.cell_type == "code" and lines > _CODE_LINES:
            yield place, f"It has {lines} lines of code; a reader takes in {_CODE_LINES}."
        elif cell.cell_type == "markdown" and words > _WORDS:
            yield place, f"It has {words} words; {_WORDS} are enough between two cells of code."


def proofs(lesson: Path) -> Faults:
    """Proofs can fail: no assertion always holds, and no ✓ is printed without one."""
    for place, cell in _cells(lesson, "code"):
        try:
            nodes = list(ast.walk(ast.parse(cell.source)))
        except SyntaxError as error:
            yield place, f"It is not Python: {error}."
            continue
        asserts = [node for node in nodes if isinstance(node, ast.Assert)]
        idle = [node for node in asserts if not _can_fail(node.test)]
        if idle:
            yield place, f"It could not fail: '{ast.unparse(idle[0])}' always holds."
        texts = [node.value for node in nodes if isinstance(node, ast.Constant)]
        claims = any(isinstance(text, str) and _PROOF in text for text in texts)
        if claims and len(asserts) == len(idle) and not _waits(nodes):
            yield place, f"It could not fail: it prints {_PROOF}, and neither asserts nor waits."


def tags(lesson: Path) -> Faults:
    """Each `varies:` tag says something known."""
    for place, cell in _cells(lesson):
        try:
            variations_of(cell.metadata.get("tags", []))
        except ValueError as error:
            yield place, str(error)


def links(lesson: Path) -> Faults:
    """Links and images lead somewhere, and an image has a text."""
    for place, cell in _cells(lesson, "markdown"):
        for token in _walk(_tokens(cell.source)):
            if token["type"] not in ("link", "image"):
                continue
            url = token["attrs"]["url"]
            if why := _broken(url, lesson):
                yield place, f"The link {url} is broken: {why}"
            if token["type"] == "image" and not _text(token).strip():
                yield place, f"The image {url} has no text for those who do not see it."


RULES = [opening, closing, order, length, proofs, tags, links]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_form(lesson: Path, rule: Callable[[Path], Faults]) -> None:
    if found := [f"{lesson.stem}, cell {place}: {what}" for place, what in rule(lesson)]:
        pytest.fail("\n".join(found), pytrace=False)


def _cells(lesson: Path, kind: str = "") -> list[tuple[int, Any]]:
    """The cells of a kind with their places; all where there is no kind."""
    cells = nbformat.read(lesson, as_version=4).cells
    return [one for one in enumerate(cells, start=1) if kind in ("", one[1].cell_type)]


def _can_fail(test: ast.expr) -> bool:
    """Whether the condition depends on anything that was seen."""
    if isinstance(test, ast.Tuple):  # `assert (condition, message)` always holds
        return not test.elts
    if isinstance(test, ast.Compare):
        sides = {ast.dump(side) for side in (test.left, *test.comparators)}
        if len(sides) == 1 and isinstance(test.ops[0], ast.Eq | ast.Is | ast.LtE | ast.GtE):
            return False  # `assert x == x`
    return any(isinstance(node, (ast.Name, ast.Call)) for node in ast.walk(test))


def _waits(nodes: list[ast.AST]) -> bool:
    """Whether a state is waited for, which fails when it does not come."""
    calls = [node.func for node in nodes if isinstance(node, ast.Call)]
    names = {call.attr for call in calls if isinstance(call, ast.Attribute)}
    return bool(names & {"wait_until", "wait_for"})


def _broken(url: str, lesson: Path) -> str:
    """Why a link leads nowhere; empty if it leads somewhere, or cannot be followed here."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        return "" if parts.hostname else "it names no host."
    target = lesson.parent / unquote(parts.path) if parts.path else lesson
    if not target.exists():
        return "there is no such file."
    is_place = parts.fragment and target.suffix == ".ipynb"
    if is_place and unquote(parts.fragment) not in _anchors(target):
        return f"{target.name} has no such heading."
    return ""


def _anchors(lesson: Path) -> set[str]:
    """The headings of a notebook as JupyterLab and nbconvert link to them."""
    return {
        _text(token).strip().replace(" ", "-")
        for _, cell in _cells(lesson, "markdown")
        for token in _walk(_tokens(cell.source))
        if token["type"] == "heading"
    }


def _walk(tokens: Any) -> Iterator[dict[str, Any]]:
    for token in tokens:
        yield token
        yield from _walk(token.get("children", ()))


def _text(token: dict[str, Any]) -> str:
    return "".join(part.get("raw", "") for part in _walk([token]))
