"""What is said of a claim that is not as recorded, and of versions that differ."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from tests.claims.claim import FILE, Claim, load_claims
from tests.claims.column import Column, columns
from tests.claims.look import Result
from tests.claims.markdown import as_markdown
from tests.claims.matrix import folded, not_seen, rows, show_matrix
from tests.claims.probe import NotThere, Observation, as_recorded, holds_if, is_missing
from tests.claims.table import complaint, is_unexpected, show_results, summary
from workbench import AdminError
from workbench.restate import VERSION
from workbench.state_dir import REPOSITORY

CLAIM = Claim(
    id="kill-spares-one-way-calls",
    text="managing-invocations",
    section="Kill",
    says="One-way calls are not killed.",
    verdict="differs",
    seen="[409] killed in the end",
    evidence="test_kill.py::test_one_way",
    lesson="04_kill: ## 4 · One-way and delayed calls",
    no_lesson="",
    line=7,
)
AS_RECORDED = Result("differs", "[409] killed in the end")
OTHERWISE = Result("holds", "success in the end")
NOT_PROBED = Result("not probed", "there is no Chromium on the PATH")
NOT_THERE = Result("not there", "this SDK has no RetryableError")
ERROR = Result("error", "WaitTimeout: Waited 10 s for it, in vain.\nLast value seen: 0")

OLD, NOW = Column(server="1.6.2"), Column()


def test_a_flipped_verdict_is_caught_and_its_place_is_named() -> None:
    assert not as_recorded(CLAIM, Observation("holds", CLAIM.seen))
    assert is_unexpected(CLAIM, OTHERWISE)
    assert complaint(CLAIM, OTHERWISE).splitlines() == [
        "Claim kill-spares-one-way-calls is not as recorded.",
        "  says:     One-way calls are not killed.",
        "            (managing-invocations, 'Kill')",
        "  place:    tests/claims/claims.toml:7",
        "  evidence: tests/claims/test_kill.py::test_one_way",
        "  expected: differs: [409] killed in the end",
        "  seen:     holds: success in the end",
    ]


def test_the_same_verdict_with_something_else_seen_is_caught() -> None:
    assert is_unexpected(CLAIM, Result("differs", "no record in the end"))
    assert not is_unexpected(CLAIM, AS_RECORDED)


def test_what_could_not_be_decided_is_neither() -> None:
    assert is_unexpected(CLAIM, ERROR)
    said = complaint(CLAIM, ERROR)
    assert said.startswith("Claim kill-spares-one-way-calls could not be decided.\n")
    assert "said:     WaitTimeout: Waited 10 s for it, in vain.\n" in said
    assert "expected" not in said


def test_what_cannot_be_looked_at_here_is_no_news() -> None:
    assert not is_unexpected(CLAIM, NOT_PROBED)
    assert is_unexpected(CLAIM, Result("not there", "POST /query answered 500"))


def test_the_table_marks_what_is_unexpected() -> None:
    out = io.StringIO()
    console = Console(file=out, width=140, highlight=False)
    show_results(console, [CLAIM], {CLAIM.id: OTHERWISE})
    (row,) = (line for line in out.getvalue().splitlines() if CLAIM.id in line)
    assert row.split() == ["✗", CLAIM.id, "holds", CLAIM.evidence]
    assert out.getvalue().rstrip().endswith("1 claim: 1 hold")
    out.truncate(0)
    show_results(console, [CLAIM], {CLAIM.id: AS_RECORDED})
    assert "✗" not in out.getvalue()
    assert "differs: [409] killed in the end" in out.getvalue()


def test_the_summary_counts() -> None:
    results = {"a": AS_RECORDED, "b": AS_RECORDED, "c": OTHERWISE, "d": NOT_PROBED, "e": ERROR}
    assert summary(results) == ("5 claims: 2 differ, 1 hold, 1 not probed, 1 could not be decided")


def test_the_columns_hold_the_pinned_versions_once() -> None:
    assert [str(c.server) for c in columns(["1.7.2", VERSION, "1.6.2"], [])] == [
        "1.6.2",
        "1.7.2",
        VERSION,
    ]
    (alone,) = columns([], [])
    assert alone.pinned
    both = columns(["1.6.2"], ["1.1.0"])
    assert [column.pinned for column in both] == [False, False, True]


@pytest.mark.parametrize(
    ("old", "same"),
    [
        (AS_RECORDED, True),
        (NOT_PROBED, True),
        (NOT_THERE, True),
        (OTHERWISE, False),
        (ERROR, False),
    ],
)
def test_a_row_is_shown_where_versions_differ(old: Result, same: bool) -> None:
    matrix = rows([CLAIM], {OLD: {CLAIM.id: old}, NOW: {CLAIM.id: AS_RECORDED}})
    assert matrix[0].same == same
    out = io.StringIO()
    show_matrix(Console(file=out, width=140), [OLD, NOW], matrix)
    assert (f"{CLAIM.id}: {CLAIM.says}" in out.getvalue()) != same
    assert folded(matrix).startswith(f"{int(same)} of 1 claims come out the same wherever")
    said = f"{CLAIM.id}, with Restate 1.6.2, SDK {NOW.sdk}: {old}"
    assert not_seen([OLD, NOW], matrix) == ([said] if old in (NOT_PROBED, NOT_THERE) else [])


def test_the_markdown_says_when_how_and_what_differs() -> None:
    matrix = rows([CLAIM], {OLD: {CLAIM.id: OTHERWISE}, NOW: {CLAIM.id: AS_RECORDED}})
    text = as_markdown([OLD, NOW], matrix, "./scripts/claims --restate 1.6.2", date(2026, 1, 2))
    assert "Seen on 2026-01-02 with `./scripts/claims --restate 1.6.2`." in text
    assert "| `kill-spares-one-way-calls` | holds a | differs b |" in text
    assert "  - *a* holds: success in the end" in text
    assert "[04](../../notebooks/04_kill.ipynb) 4 · One-way and delayed calls |" in text


@pytest.mark.parametrize(
    ("status", "message", "missing"),
    [
        (405, "Method Not Allowed", True),
        (404, "Not Found", True),
        (404, "The requested invocation 'inv_1' does not exist", False),
        (500, "Schema error: No field named appended_at.", True),
        (
            400,
            "Error during planning: table 'datafusion.public.sys_journal_events' not found",
            True,
        ),
        (500, "node N1:2 was shut down or removed", False),
        (409, "already completed", False),
    ],
)
def test_what_an_old_server_does_not_have_is_told_from_trouble(
    status: int, message: str, missing: bool
) -> None:
    assert is_missing(AdminError("POST /query", status, message)) == missing


def test_other_errors_are_trouble() -> None:
    assert not is_missing(TimeoutError("table '"))
    assert str(NotThere("this SDK has none")) == "this SDK has none"
    assert holds_if(False, "nothing") == Observation("differs", "nothing")


@pytest.fixture
def broken_claims(tmp_path: Path) -> Path:
    """A copy of the claims in which one says the contrary of what is so."""
    copy = tmp_path / FILE.name
    text = FILE.read_text()
    entry = text.index('id = "invocation-id-starts-with-inv"')
    at = text.index('verdict = "holds"', entry)
    copy.write_text(f'{text[:at]}verdict = "differs"{text[at + len("verdict = .holds.") :]}')
    return copy


def test_a_broken_claim_fails_its_probe_with_its_place(broken_claims: Path, tmp_path: Path) -> None:
    """As `./scripts/claims` and the tests run it; a real server says that it is not so."""
    start = (
        "import pathlib, sys; import tests.claims.claim as claim;"
        f"claim.load_claims.__defaults__ = (pathlib.Path({str(broken_claims)!r}),);"
        "from tests.claims.run_probes import main; sys.exit(main(sys.argv[1:]))"
    )
    id = "invocation-id-starts-with-inv"
    broken = load_claims(broken_claims)[id]
    answer = subprocess.run(
        [sys.executable, "-c", start, f"tests/claims/{broken.evidence}"],
        env={**os.environ, "WORKBENCH_HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert answer.returncode == 0, answer.stderr
    result = json.loads(answer.stdout)
    assert (result["outcome"], result["seen"]) == ("holds", "IDs begin with inv_")
    assert f"Claim {id} is not as recorded." in answer.stderr
    assert f"place:    {broken.place}" in answer.stderr
    assert "expected: differs: IDs begin with inv_" in answer.stderr
    assert "seen:     holds: IDs begin with inv_" in answer.stderr
