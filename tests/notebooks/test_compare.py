"""What counts as a difference between a committed output and one that was seen."""

from __future__ import annotations

from typing import Any

import pytest

from notebooks.compare import difference, variations_of

PNG = {"image/png": "iVBORw0KGgoAAAA", "text/plain": "a tree"}
TABLE = """\
label       http    tokens    began    ended
--------  ------  --------  -------  -------
plan         200       115        0      257
write       hung       173       10     2531

At work
  #    began  at work                         outcome
---  -------  ------------------------------  -------
  1       12  ███···························  success
"""


def _outputs(*outputs: Any) -> list[dict[str, Any]]:
    """A cell's outputs: a text is printed, a dict shown."""
    return [
        {"output_type": "stream", "name": "stdout", "text": output}
        if isinstance(output, str)
        else {"output_type": "display_data", "data": output}
        for output in outputs
    ]


def _diff(old: Any, new: Any, *tags: str) -> str:
    return difference(_outputs(old), _outputs(new), tags)


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
    assert not difference(_outputs("one\ntwo\n"), _outputs("one\n", "two\n"), [])


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
    assert not _diff(PNG, {**PNG, "image/png": "iVBORw0KGgoBBBB"})


def test_an_output_more_or_less_is_a_difference() -> None:
    more = difference(_outputs(PNG), _outputs(PNG, "two\n"), [])
    assert more.splitlines()[-1] == "+ (stdout) two"
    less = difference(_outputs("two\n", PNG), _outputs(PNG), [])
    assert less.splitlines()[0] == "- (stdout) two"


def test_numbers_vary_within_their_range_only() -> None:
    old, tag = "took   812 ms of 1,300\n--- ----\n", "varies: 0..2000"
    assert not _diff(old, "took 1,950 ms of 7\n----- ---\n", tag)
    assert _diff(old, old.replace("812", "-"), tag)
    assert "2001 is out of the range" in _diff(old, old.replace("812", "2001"), tag)
    assert not _diff(old.replace("812", "5000"), old.replace("812", "5000"), tag)
    assert _diff(old, old.replace("812", "813"))


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
    assert _diff(old, new, "varies: 0..999999")


def test_a_pattern_varies() -> None:
    tag = r"varies: /(inv|dp)_\w+/"
    assert not _diff("'task': 'inv_1abc'\n", "'task': 'inv_1xyz'\n", tag)
    assert "+ 'task': None" in _diff("'task': 'inv_1abc'\n", "'task': None\n", tag)
    polled = r"varies: /running.*\n(running.*\n)*/"
    assert not _diff("running a\ncompleted\n", "running a\nrunning b\ncompleted\n", polled)
    assert _diff("running a\ncompleted\n", "running a\nrunning b\nkilled\n", polled)


def test_ids_in_full_and_places_vary() -> None:
    id, other = "inv_1gvxU0G1kYuH5fxmpD58BhRUpfhhWsxChe", "inv_1eSEKaMOcS4U1gX6WMmx6PuWbnBRQwuj0G"
    assert not _diff(f"of {id}\n", f"of {other}\n", "varies: ids")
    assert _diff(f"of {id}\n", "of inv_…put-1\n", "varies: ids")
    here = "Restate 1.7.12 (embedded) · http://127.0.0.1:80 · pid 7\nPOST /deployments → 201\n"
    there = "Restate 1.7.12 (docker) · http://host.docker.internal:9 · pid 12\n"
    there += "POST /deployments → 200\n"
    assert not _diff(here, there, "varies: place")
    assert _diff(here, there.replace("1.7.12", "1.8.0"), "varies: place")


def test_how_many_lines_there_are_varies_if_there_are_any() -> None:
    tag, old = "varies: lines /^!/", "a\n! once\nb\n"
    assert not _diff(old, "a\n! once\n! more\nb\n! after\n", tag)
    assert "- ! once" in _diff(old, "a\nb\n", tag)
    assert "+ c" in _diff(old, "a\n! once\nc\n", tag)


def test_bars_vary_and_what_stands_beside_them_does_not() -> None:
    tags = "varies: bars", "varies: 0..5000"
    old = (
        "run   " + "▒" * 10 + "·" * 24 + "  ● completed 1204\n\n▒ running · ● completed\n\nSaid.\n"
    )
    new = "run   " + "-█▒" + "✕" + "\\" * 30 + "  ● completed 97\n\n- queued · ▒ running\n\nSaid.\n"
    assert not _diff(old, new, *tags)
    assert _diff(old, new.replace("completed 97", "killed 97"), *tags)
    assert _diff(old, new.replace("Said.", "Sad."), *tags)
    assert _diff(old, new.replace("▒ running", "▒ resting"), *tags)


def test_order_varies() -> None:
    assert not _diff("a\nb\n", "b\na\n", "varies: order")
    assert "- b" in _diff("a\nb\n", "a\nc\n", "varies: order")


@pytest.mark.parametrize("tag", ["varies: a lot", "varies: 5..", "varies:", "varies: /(/"])
def test_a_tag_that_says_nothing_known(tag: str) -> None:
    with pytest.raises(ValueError, match="The tag 'varies:"):
        _diff("a", "a", tag)


def test_other_tags_are_not_for_us() -> None:
    assert variations_of(["parameters", "hide-input"]) == []


def test_numbers_of_another_length_may_break_lines_elsewhere() -> None:
    old, new = "it waited 950 ms and\nended\n", "it waited 12,950 ms\nand ended\n"
    for tag in ("varies: 0..20000", "varies: times"):
        assert not _diff(old, new, tag)
        assert _diff(old, new.replace("ended", "failed"), tag)
    assert _diff(old, old.replace(" and\n", "\nand "))


def test_a_range_is_about_numbers_that_are_no_times() -> None:
    old, new = "3 files after 12 ms\n", "4 files after 950 ms\n"
    assert not _diff(old, new, "varies: times", "varies: 0..9")
    assert "950 is out of the range" in _diff(old, new, "varies: 0..9")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("took 813 ms, then 2.9 s\n", "took 12 ms, then 11.4 s\n"),
        ("told at 1688, 1702, 1,725 ms: all\n", "told at 8, 9, 10 ms: all\n"),
        ("From 1,668 to 2,115 ms since\n", "From 8 to 12,115 ms since\n"),
        ("● completed 1204 ✕697 ◆1045\n", "● completed 7 ✕1 ◆2\n"),
        ("○ failed 12\n", "○ failed 1200\n"),
        ("told at 12 ms ✕697\n", "told at -32 ms ✕-4\n"),  # a clock that was set back
    ],
)
def test_a_time_is_known_by_its_unit_or_its_sign(old: str, new: str) -> None:
    assert not _diff(old, new, "varies: times")
    assert _diff(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("4 writers, [409], 503", "4 writers, [410], 503"),
        ("PATCH /invocations/inv_…work-1/cancel → 202", "PATCH /invocations/inv_…work-1 → 200"),
        ("Restate 1.7.12 · RT0010 · write-2", "Restate 1.7.12 · RT0011 · write-2"),
        ("took 8 ms", "took - ms"),
    ],
)
def test_no_other_number_is_a_time(old: str, new: str) -> None:
    assert _diff(old, new, "varies: times")


def test_a_column_of_times_is_known_by_its_name() -> None:
    other = TABLE.replace("  257", "11257").replace(" 2531", "  -31").replace("    12", "112345")
    assert not _diff(TABLE, other, "varies: times")
    for seen in (("115", "116"), ("hung", "200"), ("success", "failure"), ("  12", "    ")):
        assert _diff(TABLE, TABLE.replace(*seen), "varies: times")


def test_a_column_is_blanked_before_lines_are() -> None:
    table = "  #    ms  entry\n---  ----  --------\n  1    89  Run\n     1414  ! Error  again\n"
    wider = "  #     ms  entry\n---  -----  --------\n  1     89  Run\n     11414  ! Error  again\n"
    tags = "varies: times", "varies: lines /! Error/"
    assert not _diff(table, wider, *tags)
    assert not _diff(table, wider + "     11500  ! Error  later\n", *tags)
    assert _diff(table, wider.replace("Run", "Call"), *tags)


def test_an_output_may_differ_as_a_whole_under_vqueues(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _diff("paused\n", "ready\n", "varies: vqueues")
    monkeypatch.setattr("notebooks.compare._VQUEUES", True)
    assert not _diff("paused\n", "ready\n", "varies: vqueues")
    assert _diff("paused\n", "ready\n")
