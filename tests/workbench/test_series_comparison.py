"""What counts as a difference between a committed output and one that was seen."""

from __future__ import annotations

from typing import Any

import nbformat
import pytest

from workbench.series.check.comparison import Difference, differences
from workbench.series.check.variation import Variation
from workbench.state_dir import WorkbenchError

PNG = {"image/png": "iVBORw0KGgoAAAA", "text/plain": "a tree"}


def _notebook(*outputs: Any, tags: tuple[str, ...] = ()) -> nbformat.NotebookNode:
    """A notebook of a heading and one cell with these outputs: a text is printed, a dict shown."""
    cell = nbformat.v4.new_code_cell("look()", metadata={"tags": list(tags)})
    for output in outputs:
        if isinstance(output, str):
            cell.outputs.append(nbformat.v4.new_output("stream", name="stdout", text=output))
        else:
            cell.outputs.append(nbformat.v4.new_output("display_data", data=output))
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Look"), cell])


def _compare(old: Any, new: Any, *tags: str) -> list[Difference]:
    return differences(_notebook(old, tags=tags), _notebook(new, tags=tags))


def _diff(old: Any, new: Any, *tags: str) -> str:
    (found,) = _compare(old, new, *tags)
    assert found.cell == 2
    assert found.source == "look()"
    return found.diff


def test_one_word_is_a_difference_and_is_shown_among_its_neighbours() -> None:
    old = "a\nb\nrun_task  completed\nc\nd\n"
    diff = _diff(old, old.replace("completed", "paused"))
    assert diff.splitlines() == [
        "(stdout)",
        "  b",
        "- run_task  completed",
        "+ run_task  paused",
        "  c",
    ]


def test_a_stream_that_comes_in_pieces_is_the_same() -> None:
    whole, pieces = _notebook("one\ntwo\n"), _notebook("one\n", "two\n")
    assert differences(whole, pieces) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("printed\n", {"text/plain": "printed\n"}),
        (PNG, {"text/plain": "a tree"}),
        (PNG, {**PNG, "image/png": "R0lGODlh"}),
        (PNG, {**PNG, "text/plain": "a bush"}),
        ("one\n", ""),
    ],
)
def test_what_is_shown_is_compared_too(old: Any, new: Any) -> None:
    assert _diff(old, new)


def test_a_picture_that_looks_different_is_the_same() -> None:
    assert _compare(PNG, {**PNG, "image/png": "iVBORw0KGgoBBBB"}) == []


def test_an_output_more_or_less_is_a_difference() -> None:
    assert "+ (stdout) two" in _diff_of(_notebook(PNG), _notebook(PNG, "two\n"))
    assert "- (stdout) two" in _diff_of(_notebook("two\n", PNG), _notebook(PNG))


def _diff_of(old: nbformat.NotebookNode, new: nbformat.NotebookNode) -> str:
    (found,) = differences(old, new)
    return found.diff


def test_numbers_vary_within_their_range_only() -> None:
    old, tag = "took   812 ms of 1,300\n--- ----\n", "varies: 0..2000"
    assert _compare(old, "took 1,950 ms of 7\n----- ---\n", tag) == []
    assert _compare(old, old.replace("812", "-"), tag) != []
    assert "2001 is out of the range" in _diff(old, old.replace("812", "2001"), tag)
    assert _compare(old.replace("812", "5000"), old.replace("812", "5000"), tag) == []
    assert _compare(old, old.replace("812", "813")) != []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Restate 1.7.12", "Restate 1.8.0"),
        ("inv_…write_file-1", "inv_…write_file-2"),
        ("http://127.0.0.1:8080", "http://127.0.0.2:8080"),
        ("v2", "v3"),
    ],
)
def test_versions_names_and_addresses_are_no_numbers(old: str, new: str) -> None:
    assert _compare(old, new, "varies: 0..999999")


def test_a_pattern_varies() -> None:
    tag = r"varies: /(inv|dp)_\w+/"
    assert _compare("'task': 'inv_1abc'\n", "'task': 'inv_1xyz'\n", tag) == []
    assert "+ 'task': None" in _diff("'task': 'inv_1abc'\n", "'task': None\n", tag)
    polled = r"varies: /running.*\n(running.*\n)*/"
    assert _compare("running a\ncompleted\n", "running a\nrunning b\ncompleted\n", polled) == []
    assert _compare("running a\ncompleted\n", "running a\nrunning b\nkilled\n", polled)


def test_ids_in_full_and_places_vary() -> None:
    id, other = "inv_1gvxU0G1kYuH5fxmpD58BhRUpfhhWsxChe", "inv_1eSEKaMOcS4U1gX6WMmx6PuWbnBRQwuj0G"
    assert _compare(f"of {id}\n", f"of {other}\n", "varies: ids") == []
    assert _compare(f"of {id}\n", "of inv_…put-1\n", "varies: ids")
    here = "Restate 1.7.12 (embedded) · http://127.0.0.1:80 · pid 7\nPOST /deployments → 201\n"
    there = "Restate 1.7.12 (docker) · http://host.docker.internal:9 · pid 12\n"
    there += "POST /deployments → 200\n"
    assert _compare(here, there, "varies: place") == []
    assert _compare(here, there.replace("1.7.12", "1.8.0"), "varies: place")


def test_how_many_lines_there_are_varies_if_there_are_any() -> None:
    tag, old = "varies: lines /^!/", "a\n! once\nb\n"
    assert _compare(old, "a\n! once\n! more\nb\n! after\n", tag) == []
    assert "- ! once" in _diff(old, "a\nb\n", tag)
    assert "+ c" in _diff(old, "a\n! once\nc\n", tag)


def test_bars_vary_and_what_stands_beside_them_does_not() -> None:
    tags = "varies: bars", "varies: 0..5000"
    old = (
        "run   " + "▒" * 10 + "·" * 24 + "  ● completed 1204\n\n▒ running · ● completed\n\nSaid.\n"
    )
    new = "run   " + "-█▒" + "✕" + "\\" * 30 + "  ● completed 97\n\n- queued · ▒ running\n\nSaid.\n"
    assert _compare(old, new, *tags) == []
    assert _compare(old, new.replace("completed 97", "killed 97"), *tags)
    marks = " ✕697 ✕1200 ◆…", " ✕1697 ✕2200 …"
    cut = [text.replace("\n", f"{end}\n", 1) for text, end in zip((old, new), marks, strict=True)]
    assert _compare(*cut, *tags) == []
    assert _compare(old, new.replace("Said.", "Sad."), *tags)
    assert _compare(old, new.replace("▒ running", "▒ resting"), *tags)


def test_order_varies() -> None:
    assert _compare("a\nb\n", "b\na\n", "varies: order") == []
    assert "- b" in _diff("a\nb\n", "a\nc\n", "varies: order")


@pytest.mark.parametrize("tag", ["varies: a lot", "varies: 5..", "varies:", "varies: /(/"])
def test_a_tag_that_says_nothing_known(tag: str) -> None:
    with pytest.raises(WorkbenchError, match="The tag 'varies:"):
        Variation.of([tag])


def test_other_tags_are_not_for_us() -> None:
    assert Variation.of(["parameters", "hide-input"]) == Variation()


def test_numbers_of_another_length_may_break_lines_elsewhere() -> None:
    old, new = "it waited 950 ms and\nended\n", "it waited 12,950 ms\nand ended\n"
    for tag in ("varies: 0..20000", "varies: times"):
        assert _compare(old, new, tag) == []
        assert _diff(old, new.replace("ended", "failed"), tag)
    assert _diff(old, old.replace(" and\n", "\nand "))


def test_a_range_is_about_numbers_that_are_no_times() -> None:
    old, new = "3 files after 12 ms\n", "4 files after 950 ms\n"
    assert _compare(old, new, "varies: times", "varies: 0..9") == []
    assert "950 is out of the range" in _diff(old, new, "varies: 0..9")
