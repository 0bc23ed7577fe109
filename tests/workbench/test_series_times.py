"""Which numbers of a text are times."""

from __future__ import annotations

import pytest

from workbench.series.check.times import without_times

TABLE = """\
Requests
label       http    tokens    began    ended
--------  ------  --------  -------  -------
plan         200       115        0      257
write       hung       173       10     2531

At work
  #    began  at work                         outcome
---  -------  ------------------------------  -------
  1       12  ███···························  success
"""


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("took 813 ms, then 2.9 s", "took «time» ms, then «time» s"),
        ("told at 1688, 1702, 1,725 ms: all", "told at «time» ms: all"),
        ("From 1,668 to 2,115 ms since", "From «time» ms since"),
        ("● completed 1204 ✕697 ◆1045", "● completed «time» ✕«time» ◆«time»"),
        ("○ failed 12", "○ failed «time»"),
        ("4 writers, [409], 503, 6 steps", "4 writers, [409], 503, 6 steps"),
        (
            "PATCH /invocations/inv_…work-1/cancel → 202",
            "PATCH /invocations/inv_…work-1/cancel → 202",
        ),
        ("Restate 1.7.12 · RT0010 · write_file-2", "Restate 1.7.12 · RT0010 · write_file-2"),
    ],
)
def test_a_time_is_known_by_its_unit_or_its_sign(text: str, rest: str) -> None:
    assert without_times(text) == rest


def test_a_column_is_known_by_its_name() -> None:
    assert without_times(TABLE).splitlines() == [
        "Requests",
        "label       http    tokens    began    ended",
        "--------  ------  --------  -------  -------",
        "plan  200  115  «time»  «time»",
        "write  hung  173  «time»  «time»",
        "",
        "At work",
        "  #    began  at work                         outcome",
        "---  -------  ------------------------------  -------",
        "1  «time»  ███···························  success",
    ]
