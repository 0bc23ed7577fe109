"""`claims.toml` fits the tests, the lessons and matrix.md; the command says what is wrong."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.claims.claims import Claim, load_claims
from tests.claims.columns import REPORT, Column, Result, columns
from tests.claims.matrix import as_markdown, is_unexpected, summary
from workbench.restate import VERSION
from workbench.state_dir import REPOSITORY, WorkbenchError

HERE = Path(__file__).parent
CLAIMS = load_claims()

GOOD = {
    "id": "a-claim",
    "text": "managing-invocations",
    "section": "Kill",
    "says": "It is so.",
    "verdict": "differs",
    "observed": "it was seen",
    "lesson": "06_kill: ## Why not below it?",
    "shown": "✓",
}
ENTRY = "\n".join(["[[claim]]", *(f"{name} = {json.dumps(v)}" for name, v in GOOD.items())])
CLAIM = Claim(**GOOD)
OLD, NOW = Column(server="1.6.2"), Column()
AS_RECORDED = Result("differs", "it was seen")


def test_every_claim_has_one_test() -> None:
    decided = []
    for file in HERE.glob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.claims":
                decided += [ast.literal_eval(argument) for argument in node.args]
    assert sorted(decided) == sorted(CLAIMS)


@cache
def notebook_cells(name: str) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(
        (REPOSITORY / f"notebooks/{name}.ipynb").read_text(encoding="utf-8")
    )["cells"]
    return cells


def section(notebook: str, heading: str) -> list[str]:
    """The code cells below a heading, up to the next one of its level, with their outputs."""
    level = heading.split()[0]
    found, inside = [], False
    for cell in notebook_cells(notebook):
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            outputs = [
                o.get("text") or o.get("data", {}).get("text/plain") or [] for o in cell["outputs"]
            ]
            found += ["\n".join([source, *map("".join, outputs)])] if inside else []
            continue
        for line in re.findall(r"^#+ .*$", source, re.MULTILINE):
            if line == heading:
                inside = True
            elif len(line.split()[0]) <= len(level):
                inside = False
    return found


@pytest.mark.parametrize("claim", [c for c in CLAIMS.values() if c.lesson], ids=lambda c: c.id)
def test_the_lesson_shows_the_claim(claim: Claim) -> None:
    cells = section(*claim.lesson.split(": ", 1))
    assert cells, f"{claim.place}: {claim.lesson!r} is not a section with code"
    assert any(claim.shown in cell for cell in cells), (
        f"{claim.place}: no code cell below {claim.lesson!r} has {claim.shown!r}"
    )


def test_the_matrix_has_every_claim_as_recorded() -> None:
    matrix = HERE.joinpath("matrix.md").read_text()
    missing = [
        claim.id
        for claim in CLAIMS.values()
        if f"{claim.says} `{claim.id}` |" not in matrix or f"| {claim.observed}" not in matrix
    ]
    assert missing == [], "run the command that matrix.md names"


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=lambda c: c.id)
def test_an_entry_is_whole(claim: Claim) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)+", claim.id)
    assert claim.text in ("interrupt-and-regenerate", "managing-invocations")
    assert claim.verdict in ("holds", "differs")
    assert all((claim.section, claim.says, claim.observed)), "something is empty"
    assert bool(claim.lesson) == bool(claim.shown), "lesson and shown go together"
    assert bool(claim.lesson) != bool(claim.no_lesson), "either a lesson, or why there is none"


@pytest.mark.parametrize(
    ("second", "fault"),
    [
        ("[[claim]", "1: "),
        ("[[claim]]\nid = 1\ncolour = 2", "10: got an unexpected keyword argument 'colour'"),
        ("[[claim]]\nid = 'b-claim'", "10: missing 5 required positional arguments: 'text', "),
        (ENTRY, "10: there is another claim 'a-claim'"),
    ],
)
def test_a_fault_is_named_with_its_place(tmp_path: Path, second: str, fault: str) -> None:
    file = tmp_path / "claims.toml"
    file.write_text(f"{ENTRY}\n{second}\n")
    with pytest.raises(WorkbenchError, match=f"^tests/claims/claims.toml:{fault}"):
        load_claims(file)


@pytest.mark.parametrize(
    ("result", "unexpected"),
    [
        (AS_RECORDED, False),
        (Result("holds", "it was seen"), True),
        (Result("differs", "something else"), True),
        (Result("error", "WaitTimeout"), True),
        (Result("not there", "this server has none"), True),
        (Result("not tested", "there is no Chromium on the PATH"), False),
    ],
)
def test_what_is_unexpected(result: Result, unexpected: bool) -> None:
    assert is_unexpected(CLAIM, result) == unexpected


def test_the_columns_hold_the_pinned_versions_once() -> None:
    found = columns(["1.6.2", VERSION, "1.6.2"], ["1.2.0"], vqueues=True)
    assert found == [OLD, Column(sdk="1.2.0"), NOW, Column(vqueues=True)]
    assert columns([], []) == [NOW]


def test_the_summary_counts_but_what_is_not_counted() -> None:
    not_counted = Claim(**GOOD | {"id": "b-claim"}, not_counted="another language")
    results = {"a-claim": AS_RECORDED, "b-claim": AS_RECORDED}
    assert summary([CLAIM, not_counted], results) == "2 claims: 1 differ, 1 not counted"


@pytest.mark.parametrize(
    ("old", "cell"),
    [
        (AS_RECORDED, "differs | differs"),
        (Result("holds", "another end"), "holds a | differs b"),
        (Result("differs", "another end"), "differs a | differs b"),
        (Result("error", "WaitTimeout"), "error a | differs b"),
        (Result("not there", "no such endpoint"), "not there | differs"),
    ],
)
def test_the_matrix_shows_what_differs(old: Result, cell: str) -> None:
    found = {OLD: {CLAIM.id: old}, NOW: {CLAIM.id: AS_RECORDED}}
    text = as_markdown([CLAIM], found, "./scripts/claims --restate 1.6.2")
    assert "by `./scripts/claims --restate 1.6.2`" in text
    assert (f"| `a-claim` | {cell} |" in text) == (" b" in cell)
    assert f"| It is so. `a-claim` | {cell} | it was seen | [06](../../notebooks/06_kill" in text
    assert ("*a* " + str(old) in text) == (" b" in cell)
    assert ("(a-claim)." in text) == (not old.decided)


def test_a_probe_that_does_not_observe_what_is_recorded_fails(tmp_path: Path) -> None:
    bodies = {
        "invocation-id-is-unique": "observed(ID, False, 'they are not')",
        "invocation-id-starts-with-inv": "observed(ID, True, 'they do')",
        "id-in-cli": "pass",
        "id-in-server-logs": "observed('another', True, 'so')",
        "id-in-sdk-logs": "raise ValueError('a bug')",
    }
    probes, report = tmp_path / "test_probes.py", tmp_path / "report"
    probes.write_text(
        "import pytest\n"
        + "".join(
            f"@pytest.mark.claims({id!r})\n"
            f"def test_{number}(observed):\n    ID = {id!r}\n    {body}\n"
            for number, (id, body) in enumerate(bodies.items())
        )
    )
    plugins = ["-p", "pytest_timeout", "-p", "tests.claims.conftest"]
    answer = subprocess.run(
        [*(sys.executable, "-m", "pytest"), *plugins, probes],
        env={
            **os.environ,
            REPORT: str(report),
            "PYTHONPATH": str(REPOSITORY),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=50,
    )
    said = answer.stdout
    assert (answer.returncode, "5 failed" in said) == (1, True), said + answer.stderr
    unique, prefix = CLAIMS["invocation-id-is-unique"], CLAIMS["invocation-id-starts-with-inv"]
    assert unique.complaint("differs", "they are not") in said
    assert prefix.complaint("holds", "they do") in said
    assert "id-in-cli was not decided" in said
    assert "the test's marker does not name another" in said
    assert "ValueError: a bug" in said
    found = [(id, result[0]) for id, result in map(json.loads, report.read_text().splitlines())]
    assert found == list(zip(bodies, ["differs", "holds", *["error"] * 3], strict=True))
