"""A lesson for each rule of the form that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from notebooks.test_form import RULES
from notebooks.variants import variant_of

OPENING = "# 07 · Try it\n\n**Question.** What?\n\n*1 minutes, and 2 for the exercises. Needs 00.*"
RULE = "## The rule\n\n**Wait, then clean up.**\n\nIt does not wait for others."
CLOSING = "## Clean up\n\n**Next:** [08 · More](08_more.ipynb)"
STUB = "def my_answer():\n    ...\n"
# A code cell is its tags, `>`, and its source; any other text is prose.
BODY = [
    "predict>guess = ''",
    "do, held>act()",
    "prove>assert look()\nprint('✓ it is there')",
    "## Exercises",
    f"exercise: one>{STUB}",
    "check: one>wb.check(\"one\", my_answer)",
    f"exercise: two>{STUB}",
    "check: two>wb.check(\"two\", my_answer)",
    RULE,
    "done>wb.done('07')",
]  # fmt: skip

Faults = Callable[..., list[tuple[str, int, str]]]


def _cell(text: str, count: int) -> Any:
    tags, is_code, source = text.partition(">")
    if not is_code:
        return nbformat.v4.new_markdown_cell(text)
    metadata = {"tags": tags.split(", ")} if tags else {}
    return nbformat.v4.new_code_cell(source, metadata=metadata, execution_count=count)


@pytest.fixture
def found(tmp_path: Path) -> Faults:
    """The faults of a lesson with these cells in its middle, before those that it has to have."""

    def _found(*middle: str, opening: str = OPENING, closing: str = CLOSING, **change: str) -> Any:
        body = [change.get(text.partition(">")[0].partition(":")[0], text) for text in BODY]
        cells: list[Any] = []
        for text in (opening, *middle, *body, closing):
            count = 1 + sum(cell.cell_type == "code" for cell in cells)
            cells.append(_cell(text, count))
        if printed := change.get("printed"):
            cells[2].outputs = [nbformat.v4.new_output("stream", text=printed)]
        lesson = tmp_path / "07_try_it.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells), lesson)
        (tmp_path / "08_more.ipynb").write_text(lesson.read_text())
        for name in ("one", "two"):
            folder = tmp_path / "exercises" / "07" / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "stub.py").write_text(STUB)
        return [(rule.__name__, *fault) for rule in RULES for fault in rule(lesson)]

    return _found


def test_a_lesson_without_a_fault(found: Faults) -> None:
    assert found("## Look\n\n[up](#Look), [there](08_more.ipynb#Look)") == []
    assert found("set>wb.wait_until(look)\nprint('✓ it came')", "see>assert look() == seen") == []


@pytest.mark.parametrize(
    ("rule", "cell", "what"),
    [
        ("length", " \n", "The cell is empty."),
        ("length", "set> \n", "The cell is empty."),
        ("length", "set>\n" + "x = 1\n\n" * 16, "It has 16 lines of code; a reader takes in 15."),
        ("length", "# Look\n\n| a | b |\n" + "word " * 61, "61 words; 60 are enough"),
        ("proofs", "set>if x", "It is not Python: "),
        ("proofs", "set>print('✓ there')", "it prints ✓, and neither asserts nor waits."),
        ("proofs", "set>assert True\nprint('✓')", "'assert True' always holds."),
        ("proofs", "set>assert (look(), 1)", "'assert (look(), 1)' always holds."),
        ("proofs", "set>assert seen == seen", "'assert seen == seen' always holds."),
        ("tags", "varies: lots>look()", "'varies: lots'"),
        ("links", "[a](09_none.ipynb)", "The link 09_none.ipynb is broken: there is no such file."),
        ("links", "[a](08_more.ipynb#None)", "08_more.ipynb has no such heading."),
        ("links", "[a](#None)", "The link #None is broken: 07_try_it.ipynb has no such heading."),
        ("links", "[a](https:///page)", "The link https:///page is broken: it names no host."),
        ("links", "![a](none.png)", "The link none.png is broken: there is no such file."),
        ("links", "![](07_try_it.ipynb)", "The image 07_try_it.ipynb has no text"),
        ("exercises", "exercise: one>pass", "The cell is not what stub.py of the exercise one"),
        ("exercises", f"exercise: one>{STUB}", "The next cell does not check the exercise"),
    ],
)
def test_a_cell_with_a_fault(found: Faults, rule: str, cell: str, what: str) -> None:
    (said, *_) = [fault for name, *fault in found("## Look", cell) if name == rule]
    assert said[0] == 3
    assert what in said[1]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"opening": "# Try it"}, "A lesson begins with its title: '# 07 · …'."),
        ({"opening": "# Try it"}, "The opening does not ask its '**Question.**'."),
        ({"opening": "# Try it"}, "does not say '*12 minutes, and 10 for the exercises.'"),
        ({"opening": OPENING.replace("1 min", "9 min")}, "It takes 1 minutes to read, and says 9."),
        ({"closing": "The end."}, "The last cell has no section '## Clean up'."),
        ({"closing": "The end."}, "The last cell leads to no other lesson."),
        ({"## The rule\n\n**Wait, then clean up.**\n\nIt does not wait for others.": ""}, "rule"),
        ({"printed": "a\n-  -\n" + "1  2\n" * 9}, "A table has more than 8 rows."),
        ({"printed": "x" * 101}, "A line has 101 characters; 100 fit."),
        ({"predict": "set>guess()"}, "There have to be 1 cells with the tag 'predict' at least."),
        ({"exercise": "set>x = 1"}, "There have to be 2 cells with the tag 'exercise' at least."),
    ],
)
def test_a_lesson_with_a_fault(found: Faults, change: dict[str, str], what: str) -> None:
    assert what in str(found("## Look", **change))


def test_a_rule_is_short_and_has_its_limits(found: Faults) -> None:
    long = RULE.replace("Wait", "Wait " * 25)
    assert "The rule has 29 words; 25 are enough." in str(found(**{RULE.partition(":")[0]: long}))
    boundless = RULE.replace("does not wait", "waits")
    assert "not followed by what it does not do" in str(found(**{RULE: boundless}))


def test_what_breaks_comes_early(found: Faults) -> None:
    assert found(*["set>x = 1"] * 4) == []
    assert "has to come after 5 cells at most" in str(found(*["set>x = 1"] * 5))


def test_a_lesson_that_is_too_long(found: Faults) -> None:
    cells = ["set>" + "x = 1\n" * 15, "word " * 60] * 13
    assert "It takes 18 minutes to read; 15 are enough." in str(found(*["do>act()", *cells]))


def test_an_order_of_execution_that_is_not_from_top_to_bottom(tmp_path: Path) -> None:
    cells = [_cell(f"set>x = {count}", count) for count in (2, 3)]
    lesson = tmp_path / "07_try_it.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), lesson)
    (rule,) = [rule for rule in RULES if rule.__name__ == "order"]
    assert [place for place, _ in rule(lesson)] == [1, 2]


def test_other_readers() -> None:
    texts = ["set>a", "do, held>b", "prove>c", "do>d", "see>e", "Prose.", "exercise: x>f"]
    book = nbformat.v4.new_notebook(cells=[_cell(text, 1) for text in texts])

    def sources(variant: str, seed: int = 1) -> list[str]:
        cells = variant_of(book, variant, seconds=9, seed=seed).cells
        return [cell.source.splitlines()[-1] for cell in cells]

    assert sources("slow") == ["a", "b", "time.sleep(9)", "c", "d", "e", "f"]
    assert sources("twice") == ["a", "b", "c", "d", "e", "f"] * 2
    orders = {"".join(sources("shuffled", seed)) for seed in range(20)}
    assert all(order.startswith("abcdef") for order in orders)
    assert {order[6:].replace("a", "") for order in orders} == {"bcde", "debc"}
