"""The check as it is run: what it finds, what it writes, and that it changes nothing twice."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from tests.series_lessons import Lessons

OPENING = "# 07 · Try it\n**What you'll do** **What you'll learn** **What you'll need** **Time**"
CLOSING = "## What you have seen\n\n## Clean up\n\n[Again](07_try_it.ipynb)"
CELLS = {
    "status = 'completed'\nprint('the task is', status)": (),
    "import random\nprint(random.randrange(1000), 'ms')": ("varies: 0..1000",),
    "assert status == 'completed'\nprint('✓ it is over')": (),
}


@pytest.fixture
def lesson(lessons: Lessons) -> Path:
    """A lesson without a fault, but with no output so far."""
    path = lessons.write("07_try_it", *CELLS)
    book = nbformat.read(path, as_version=4)
    book.cells[0].source = OPENING
    for cell, tags in zip(book.cells[1:], CELLS.values(), strict=True):
        cell.metadata["tags"] = list(tags)
    book.cells.append(nbformat.v4.new_markdown_cell(CLOSING))
    nbformat.write(book, path)
    return path


def _check(lessons: Lessons, *arguments: str | Path) -> tuple[int, str]:
    with lessons.start("check", "--build", lessons.build, *arguments) as check:
        out, err = check.communicate(timeout=50)
    assert err == ""
    return check.returncode, out


@pytest.mark.timeout(180)  # five runs
def test_one_changed_word_is_found_named_and_mended(lessons: Lessons, lesson: Path) -> None:
    code, out = _check(lessons, "--update", lesson)
    assert (code, out.splitlines()[-1]) == (
        0,
        "Wrote the outputs of 3 cells into the lessons; git diff shows them.",
    )
    whole = lesson.read_bytes()

    code, out = _check(lessons, "--update", lesson)  # another random number
    assert code == 0
    assert "Wrote the outputs of 0 cells" in out
    assert lesson.read_bytes() == whole

    lesson.write_bytes(whole.replace(b"the task is completed", b"the task is paused"))
    code, out = _check(lessons, lesson)
    assert code == 1
    assert "✗ 07_try_it" in out
    assert "differs in cell 2" in out
    assert "- the task is paused\n+ the task is completed\n" in out
    assert "./scripts/check --update 07_try_it" in out
    assert "differs in cell 2" in (lessons.build / "junit.xml").read_text()
    assert "differs in cell 2" in (lessons.build / "index.html").read_text()

    assert _check(lessons, "--update", lesson)[0] == 0
    assert lesson.read_bytes() == whole


@pytest.mark.timeout(180)
def test_everything_is_written_if_asked_for(lessons: Lessons, lesson: Path) -> None:
    assert _check(lessons, "--update", lesson)[0] == 0
    whole = lesson.read_bytes()
    outputs = {whole}
    for _ in range(3):  # the same random number three times is one in 10 ** 9
        _check(lessons, "--update", "--everything", lesson)
        outputs.add(lesson.read_bytes())
        if len(outputs) > 1:
            break
    assert len(outputs) > 1


@pytest.mark.timeout(120)
def test_a_fault_of_form_is_found_and_not_mended(lessons: Lessons, lesson: Path) -> None:
    assert _check(lessons, "--update", lesson)[0] == 0
    text = lesson.read_text().replace("(07_try_it.ipynb)", "(08_none.ipynb)")
    lesson.write_text(text)
    code, out = _check(lessons, "--update", lesson)
    assert code == 1
    assert "malformed in cell 5" in out
    assert "The link 08_none.ipynb is broken: there is no such file." in out
    assert lesson.read_text() == text


@pytest.mark.timeout(120)
def test_a_lesson_that_fails_is_not_compared_or_written(lessons: Lessons, lesson: Path) -> None:
    assert _check(lessons, "--update", lesson)[0] == 0
    book = nbformat.read(lesson, as_version=4)
    book.cells[1].source = "1 / 0"
    nbformat.write(book, lesson)
    before = lesson.read_bytes()
    code, out = _check(lessons, "--update", lesson)
    assert code == 1
    assert "ZeroDivisionError" in out
    assert "differs" not in out
    assert lesson.read_bytes() == before
