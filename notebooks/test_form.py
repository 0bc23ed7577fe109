"""The form of the lessons: sections, scenes, length, links, exercises, proofs that can fail.

A rule takes a lesson and yields what is wrong, with the cell's place (from 1).
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import mistune
import nbformat
import pytest

from notebooks.compare import variations_of

_CODE_LINES = 15
_WORDS = 60
_ROWS = 8
_COLUMNS = 100
_MINUTES = 15
_RULE_WORDS = 25
_CELLS_BEFORE_THE_BREAK = 5
_PROOF = "✓"
_MINUTES_STATED = re.compile(
    r"^\*(\d+) minutes, and (?:\d+|as long as you like) for the exercises\.", re.MULTILINE
)
_REQUEST = re.compile(r"curl |(?:GET|POST|PATCH|PUT|DELETE) /|https?://")  # may be broken anywhere

_tokens = mistune.create_markdown(renderer="ast", plugins=["table", "strikethrough"])

Faults = Iterator[tuple[int, str]]


def opening(lesson: Path) -> Faults:
    """A lesson begins with its title and its question, and says how long it takes."""
    source = _cells(lesson)[0][1].source
    number = lesson.stem.partition("_")[0]
    if not re.match(rf"# {number} · \w", source):
        yield 1, f"A lesson begins with its title: '# {number} · …'."
    if "**Question.** " not in source:
        yield 1, "The opening does not ask its '**Question.**'."
    stated, needed = _MINUTES_STATED.search(source), math.ceil(_minutes(lesson))
    if not stated:
        yield 1, "The opening does not say '*12 minutes, and 10 for the exercises.'"
    elif int(stated[1]) != needed:
        yield 1, f"It takes {needed} minutes to read, and says {stated[1]}."
    if needed > _MINUTES:
        yield 1, f"It takes {needed} minutes to read; {_MINUTES} are enough."


def closing(lesson: Path) -> Faults:
    """A lesson ends with its rule, and leads to another one."""
    cells = _cells(lesson)
    place, last = cells[-1]
    said = next((cell for _, cell in cells if "## The rule" in cell.source), None)
    rule = re.search(r"## The rule\s+\*\*(.+?)\*\*\s+(.+)", said.source) if said else None
    if not rule:
        yield place, "There is no section '## The rule' that begins with the rule in bold."
    else:
        if len(rule[1].split()) > _RULE_WORDS:
            yield place, f"The rule has {len(rule[1].split())} words; {_RULE_WORDS} are enough."
        if " not " not in rule[2]:
            yield place, "The rule is not followed by what it does not do."
    if not re.search(r"^## Clean up$", last.source, re.MULTILINE):
        yield place, "The last cell has no section '## Clean up'."
    if not re.search(r"\]\(\d\d_\w+\.ipynb\)|\.md\)", last.source):
        yield place, "The last cell leads to no other lesson."


def scenes(lesson: Path) -> Faults:
    """Something breaks early, a prediction is asked for, and there is something to do."""
    code = _cells(lesson, "code")
    kinds = [{tag.partition(":")[0] for tag in cell.metadata.get("tags", [])} for _, cell in code]
    breaks = next((n for n, kind in enumerate(kinds) if "do" in kind), None)
    if breaks is None or breaks > _CELLS_BEFORE_THE_BREAK:
        most = _CELLS_BEFORE_THE_BREAK
        yield 1, f"The first cell with the tag 'do' has to come after {most} cells at most."
    wanted = {"predict": 1, "exercise": 2, "check": 2, "prove": 1, "done": 1}
    if not (lesson.parent / "exercises" / lesson.stem[:2]).exists():  # the ladder is one
        wanted["exercise"] = wanted["check"] = 0
    for kind, least in wanted.items():
        if sum(kind in one for one in kinds) < least:
            yield 1, f"There have to be {least} cells with the tag '{kind}' at least."


def exercises(lesson: Path) -> Faults:
    """An exercise's cell is its stub, and the next one checks it."""
    code = _cells(lesson, "code")
    for (place, cell), (_, after) in zip(code, [*code[1:], code[-1]], strict=True):
        for tag in cell.metadata.get("tags", []):
            kind, _, name = tag.partition(": ")
            if kind != "exercise":
                continue
            stub = lesson.parent / "exercises" / lesson.stem[:2] / name / "stub.py"
            if not stub.exists() or stub.read_text(encoding="utf-8").strip() != cell.source.strip():
                yield place, f"The cell is not what {stub.name} of the exercise {name} holds."
            if f'wb.check("{name}"' not in after.source:
                yield place, f"The next cell does not check the exercise: wb.check({name!r}, …)."


def outputs(lesson: Path) -> Faults:
    """What is printed fits on the page."""
    for place, cell in _cells(lesson, "code"):
        rows = 0
        for line in _printed(cell).splitlines():
            rows = 1 if re.fullmatch(r"-+(  -+)+", line) else rows + 1 if rows and line else 0
            if rows == _ROWS + 2:
                yield place, f"A table has more than {_ROWS} rows."
            if len(line) > _COLUMNS and not _REQUEST.match(line):
                yield place, f"A line has {len(line)} characters; {_COLUMNS} fit."


def order(lesson: Path) -> Faults:
    """The outputs are those of one run from top to bottom."""
    for number, (place, cell) in enumerate(_cells(lesson, "code"), start=1):
        if cell.execution_count != number:
            said = f"It was executed as number {cell.execution_count}"
            yield place, f"{said}, but it is code cell {number}: run it from top to bottom."


def length(lesson: Path) -> Faults:
    """No cell is empty, and nothing is longer than a reader takes in at once."""
    cells, words = _cells(lesson), 0
    for place, cell in cells:
        lines = _lines(cell.source)
        if not lines:
            yield place, "The cell is empty."
        elif cell.cell_type == "code":
            words = 0
            if len(lines) > _CODE_LINES:
                yield place, f"It has {len(lines)} lines of code; a reader takes in {_CODE_LINES}."
        elif 1 < place < len(cells):
            prose = [line for line in lines if not line.startswith(("#", "|"))]
            words += len(" ".join(prose).split())
            if words > _WORDS:
                yield place, f"{words} words; {_WORDS} are enough between two cells of code."


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


RULES = [opening, closing, scenes, exercises, outputs, order, length, proofs, tags, links]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_form(lesson: Path, rule: Callable[[Path], Faults]) -> None:
    if found := [f"{lesson.stem}, cell {place}: {what}" for place, what in rule(lesson)]:
        pytest.fail("\n".join(found), pytrace=False)


def _cells(lesson: Path, kind: str = "") -> list[tuple[int, Any]]:
    """The cells of a kind with their places; all where there is no kind."""
    cells = nbformat.read(lesson, as_version=4).cells
    return [one for one in enumerate(cells, start=1) if kind in ("", one[1].cell_type)]


def _lines(text: str) -> list[str]:
    """The lines that are not blank."""
    return [line for line in text.splitlines() if line.strip()]


def _printed(cell: Any) -> str:
    """What a cell put out, as text."""
    texts = [one.get("text") or one.get("data", {}).get("text/plain", "") for one in cell.outputs]
    return "\n".join(texts)


def _minutes(lesson: Path) -> float:
    """How long it takes to read: 200 words a minute, 4 s for a line of code, 1 s for one printed.

    What is below a heading that says exercise counts apart.
    """
    seconds, is_exercise = 0.0, False
    for _, cell in _cells(lesson):
        for heading in re.findall(r"^##+ .*$", cell.source, re.MULTILINE):
            if cell.cell_type == "markdown":
                is_exercise = "exercise" in heading.lower()
        if is_exercise:
            continue
        if cell.cell_type == "markdown":
            seconds += len(cell.source.split()) / 200 * 60
        else:
            seconds += len(_lines(cell.source)) * 4 + len(_lines(_printed(cell)))
    return seconds / 60


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
    return bool(names & {"wait_until", "wait_for", "wait_held", "wait_idle"})


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


def test_no_two_lessons_share_keys_or_services() -> None:
    """Lessons share a server: a session or a service of one is never met by another."""
    owners: dict[str, set[str]] = {}
    for path in sorted(Path(__file__).parent.glob("[0-9][0-9]_*.ipynb")):
        source = "\n".join(cell.source for _, cell in _cells(path, "code"))
        for name in re.findall(r'(?:new_key|Service|VirtualObject)\("([\w-]+)"', source):
            owners.setdefault(name, set()).add(path.stem)
    assert {name: found for name, found in owners.items() if len(found) > 1} == {}
