"""What counts as a difference between a committed output and one that was seen."""

from __future__ import annotations

from typing import Any

import pytest

from notebooks.compare import difference, variations_of

LANES = {"text/html": "<pre>█·</pre>", "text/plain": "█·"}


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
        (LANES, {"text/plain": "█·"}),
        (LANES, {**LANES, "text/plain": "██"}),
        ("one\n", ""),
    ],
)
def test_what_is_shown_is_compared_too(old: Any, new: Any) -> None:
    assert _diff(old, new)


def test_an_output_more_or_less_is_a_difference() -> None:
    more = difference(_outputs(LANES), _outputs(LANES, "two\n"), [])
    assert more.splitlines()[-1] == "+ (stdout) two"
    less = difference(_outputs("two\n", LANES), _outputs(LANES), [])
    assert less.splitlines()[0] == "- (stdout) two"


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


def test_order_varies() -> None:
    assert not _diff("a\nb\n", "b\na\n", "varies: order")
    assert "- b" in _diff("a\nb\n", "a\nc\n", "varies: order")


@pytest.mark.parametrize("tag", ["varies: a lot", "varies: 5..", "varies:", "varies: /(/"])
def test_a_tag_that_says_nothing_known(tag: str) -> None:
    with pytest.raises(ValueError, match="The tag 'varies:"):
        _diff("a", "a", tag)


def test_other_tags_are_not_for_us() -> None:
    assert variations_of(["parameters", "hide-input"]) == []


def test_an_output_may_differ_as_a_whole_under_vqueues(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _diff("paused\n", "ready\n", "varies: vqueues")
    monkeypatch.setattr("notebooks.compare._VQUEUES", True)
    assert not _diff("paused\n", "ready\n", "varies: vqueues")
    assert _diff("paused\n", "ready\n")
