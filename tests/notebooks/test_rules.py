"""A lesson for each rule of the form that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from notebooks.test_form import RULES

OPENING = "# 07 · Try it\n**What you'll do** **What you'll learn** **What you'll need** **Time**"
CLOSING = "## What you have seen\n\nIt.\n\n## Clean up\n\n**Next:** [08 · More](08_more.ipynb)"
PROOF = "assert look()\nprint('✓ it is there')"

Faults = Callable[..., list[tuple[str, int, str]]]


@pytest.fixture
def found(tmp_path: Path) -> Faults:
    """The faults of a lesson with these cells in its middle; a text of code begins with `>`."""

    def _found(
        *middle: str, opening: str = OPENING, closing: str = CLOSING, count: int = 1
    ) -> object:
        cells = []
        for source in (opening, *middle, closing):
            if source.startswith(">"):
                cells.append(nbformat.v4.new_code_cell(source[1:], execution_count=count))
                count += 1
            else:
                cells.append(nbformat.v4.new_markdown_cell(source))
        lesson = tmp_path / "07_try_it.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells), lesson)
        (tmp_path / "08_more.ipynb").write_text(lesson.read_text())
        return [(rule.__name__, *fault) for rule in RULES for fault in rule(lesson)]

    return _found


def test_a_lesson_without_a_fault(found: Faults) -> None:
    assert found("## Look\n\n[up](#Look), [there](08_more.ipynb#Look)", f">{PROOF}") == []
    assert found(">wb.wait_until(look)\nprint('✓ it came')", ">assert look() == seen") == []


@pytest.mark.parametrize(
    ("rule", "cell", "what"),
    [
        ("length", " \n", "The cell is empty."),
        ("length", "> \n", "The cell is empty."),
        ("length", ">\n" + "x = 1\n" * 41, "It has 42 lines of code; a reader takes in 40."),
        ("length", "word " * 301, "It has 301 words; 300 are enough"),
        ("proofs", ">if x", "It is not Python: "),
        ("proofs", ">print('✓ there')", "it prints ✓, and neither asserts nor waits."),
        ("proofs", ">assert True\nprint('✓')", "'assert True' always holds."),
        ("proofs", ">assert (look(), 1)", "'assert (look(), 1)' always holds."),
        ("proofs", ">assert seen == seen", "'assert seen == seen' always holds."),
        ("links", "[a](09_none.ipynb)", "The link 09_none.ipynb is broken: there is no such file."),
        ("links", "[a](08_more.ipynb#None)", "08_more.ipynb has no such heading."),
        ("links", "[a](#None)", "The link #None is broken: 07_try_it.ipynb has no such heading."),
        ("links", "[a](https:///page)", "The link https:///page is broken: it names no host."),
        ("links", "![a](none.png)", "The link none.png is broken: there is no such file."),
        ("links", "![](07_try_it.ipynb)", "The image 07_try_it.ipynb has no text"),
    ],
)
def test_a_cell_with_a_fault(found: Faults, rule: str, cell: str, what: str) -> None:
    ((name, place, said), *_) = found("## Look", cell)
    assert (name, place) == (rule, 3)
    assert what in said


def test_an_opening_and_a_closing_that_are_not_there(found: Faults) -> None:
    said = found(opening="# Try it", closing="The end.")
    assert [what for _, place, what in said if place == 1] == [
        "A lesson begins with its title: '# 07 · …'.",
        "The opening does not say '**What you'll do**'.",
        "The opening does not say '**What you'll learn**'.",
        "The opening does not say '**What you'll need**'.",
        "The opening does not say '**Time**'.",
    ]
    assert [what for _, place, what in said if place == 2] == [
        "The last cell has no section '## What you have seen'.",
        "The last cell has no section '## Clean up'.",
        "The last cell leads to no other lesson.",
    ]


def test_an_order_of_execution_that_is_not_from_top_to_bottom(found: Faults) -> None:
    said = found(">x = 1", ">x = 2", count=2)
    assert [place for rule, place, _ in said if rule == "order"] == [2, 3]
    assert "It was executed as number 2, but it is code cell 1" in said[0][2]


def test_a_tag_that_says_nothing_known(tmp_path: Path) -> None:
    cell = nbformat.v4.new_code_cell("1", metadata={"tags": ["varies: lots"]})
    lesson = tmp_path / "07_try_it.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), lesson)
    (rule,) = [rule for rule in RULES if rule.__name__ == "tags"]
    assert ["'varies: lots'" in what for _, what in rule(lesson)] == [True]
