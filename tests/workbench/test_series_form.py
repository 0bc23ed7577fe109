"""What is wrong with a lesson before it is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from workbench.series.check.form import faults
from workbench.state_dir import REPOSITORY

OPENING = "# 07 · Try it\n**What you'll do** **What you'll learn** **What you'll need** **Time**"
CLOSING = "## What you have seen\n\nIt.\n\n## Clean up\n\n**Next:** [08 · More](08_more.ipynb)"
PROOF = "assert look()\nprint('✓ it is there')"

Faults = Callable[..., list[tuple[int, str]]]


@pytest.fixture
def found(tmp_path: Path) -> Faults:
    """The faults of a lesson with these cells in its middle; a text of code begins with `>`."""

    def _found(
        *middle: str, opening: str = OPENING, closing: str = CLOSING
    ) -> list[tuple[int, str]]:
        cells, executed = [], 0
        for source in (opening, *middle, closing):
            if source.startswith(">"):
                executed += 1
                cells.append(nbformat.v4.new_code_cell(source[1:], execution_count=executed))
            else:
                cells.append(nbformat.v4.new_markdown_cell(source))
        lesson = tmp_path / "07_try_it.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells), lesson)
        (tmp_path / "08_more.ipynb").write_text(lesson.read_text())
        return [(fault.cell, fault.what) for fault in faults(lesson)]

    return _found


def test_a_lesson_without_a_fault(found: Faults) -> None:
    assert found("## Look\n\n[up](#Look), [there](08_more.ipynb#Look)", f">{PROOF}") == []
    assert found(">wb.wait_until(look)\nprint('✓ it came')") == []


@pytest.mark.parametrize("lesson", sorted((REPOSITORY / "notebooks").glob("*.ipynb")))
def test_the_lessons_have_none(lesson: Path) -> None:
    assert faults(lesson) == []


@pytest.mark.parametrize(
    ("cell", "what"),
    [
        (" \n", "The cell is empty."),
        ("> \n", "The cell is empty."),
        (">\n" + "x = 1\n" * 41, "It has 42 lines of code; a reader takes in 40."),
        (">if x", "It is no Python: "),
        (
            ">print('✓ it is there')",
            "It could not fail: it prints ✓, and neither asserts nor waits.",
        ),
        (">assert True\nprint('✓')", "It could not fail: 'assert True' always holds."),
        (
            ">assert (look(), 1)",
            "It could not fail: 'assert (look(), 1)' always holds.",
        ),
        ("word " * 301, "It has 301 words; 300 are enough"),
        ("[a](09_none.ipynb)", "The link 09_none.ipynb is broken: there is no such file."),
        ("[a](08_more.ipynb#None)", "The link 08_more.ipynb#None is broken: 08_more.ipynb has no"),
        ("[a](#None)", "The link #None is broken: 07_try_it.ipynb has no such heading."),
        ("[a](https:///page)", "The link https:///page is broken: it names no host."),
        ("![a](none.png)", "The link none.png is broken: there is no such file."),
        ("![](07_try_it.ipynb)", "The image 07_try_it.ipynb has no text"),
    ],
)
def test_a_cell_with_a_fault(found: Faults, cell: str, what: str) -> None:
    ((place, said), *_) = found("## Look", cell)
    assert place == 3
    assert what in said


def test_an_opening_and_a_closing_that_are_not_there(found: Faults) -> None:
    said = found(opening="# Try it", closing="The end.")
    assert [what for place, what in said if place == 1] == [
        "A lesson begins with its title: '# 07 · …'.",
        "The opening does not say '**What you'll do**'.",
        "The opening does not say '**What you'll learn**'.",
        "The opening does not say '**What you'll need**'.",
        "The opening does not say '**Time**'.",
    ]
    assert [what for place, what in said if place == 2] == [
        "The last cell has no section '## What you have seen'.",
        "The last cell has no section '## Clean up'.",
        "The last cell leads to no other lesson.",
    ]


def test_an_order_of_execution_that_is_not_from_top_to_bottom(tmp_path: Path) -> None:
    cells = [
        nbformat.v4.new_markdown_cell(OPENING),
        nbformat.v4.new_code_cell("x = 1", execution_count=2),
        nbformat.v4.new_code_cell("x = 2"),
        nbformat.v4.new_markdown_cell(CLOSING.replace("08_more", "07_try_it")),
    ]
    lesson = tmp_path / "07_try_it.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), lesson)
    assert [(fault.cell, fault.what.partition(",")[0]) for fault in faults(lesson)] == [
        (2, "It was executed as number 2"),
        (3, "It was executed as number None"),
    ]


def test_a_tag_that_says_nothing_known(tmp_path: Path) -> None:
    cell = nbformat.v4.new_code_cell("1", execution_count=1, metadata={"tags": ["varies: lots"]})
    lesson = tmp_path / "07_try_it.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), lesson)
    assert any("'varies: lots'" in fault.what for fault in faults(lesson))
