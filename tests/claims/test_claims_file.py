"""That `claims.toml` fits the probes, the lessons and README.md."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from tests.claims.claim import FILE, ClaimsError, find_claim, load_claims
from tests.claims.markdown import BEGIN, END
from workbench.state_dir import REPOSITORY

HERE = Path(__file__).parent

GOOD = {
    "id": "a-claim",
    "text": "managing-invocations",
    "section": "Kill",
    "says": "It is so.",
    "verdict": "holds",
    "seen": "it was seen",
    "evidence": "test_kill.py::test_stops",
    "no_lesson": "none is about it",
}


def probes(folder: Path = HERE) -> dict[str, str]:
    """The claims that probes are the evidence of, by the probes' names; nothing is imported."""
    found = {}
    for file in sorted(folder.glob("test_*.py")):
        for function in ast.parse(file.read_text()).body:
            for mark in getattr(function, "decorator_list", []):
                if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == "probe":
                    assert isinstance(function, ast.FunctionDef)
                    assert isinstance(mark.args[0], ast.Constant)
                    found[f"{file.name}::{function.name}"] = str(mark.args[0].value)
    return found


def written(folder: Path, *entries: dict[str, str]) -> Path:
    file = folder / "claims.toml"
    file.write_text(
        "\n".join(
            "\n".join(["[[claim]]", *(f"{k} = {json.dumps(v)}" for k, v in entry.items())])
            for entry in entries
        )
    )
    return file


def test_every_claim_has_its_probe_and_every_probe_its_claim() -> None:
    assert probes() == {claim.evidence: claim.id for claim in load_claims().values()}


def test_every_lesson_that_is_named_has_the_heading() -> None:
    missing = []
    for claim in load_claims().values():
        notebook, _, heading = claim.lesson.partition(": ")
        if not claim.lesson:
            continue
        file = REPOSITORY / "notebooks" / f"{notebook}.ipynb"
        cells = json.loads(file.read_text())["cells"] if file.exists() else []
        lines = [line for cell in cells for line in "".join(cell["source"]).splitlines()]
        if heading not in lines:
            missing.append(f"{claim.place}: claim {claim.id}: no {claim.lesson!r}")
    assert not missing, "\n".join(missing)


def test_what_differs_is_in_a_lesson_or_there_is_a_reason() -> None:
    bare = [c.id for c in load_claims().values() if c.verdict == "differs" and not c.lesson]
    assert bare == ["id-in-sdk-traces"]


def test_readme_has_the_matrix_and_the_matrix_has_every_claim() -> None:
    matrix = HERE.joinpath("matrix.md").read_text()
    short = matrix.partition(BEGIN)[2].partition(END)[0].strip()
    assert short
    assert short in REPOSITORY.joinpath("README.md").read_text()
    missing = [
        claim.id
        for claim in load_claims().values()
        if f"{claim.says} `{claim.id}` |" not in matrix or f"| {claim.seen} |" not in matrix
    ]
    assert missing == [], "run ./scripts/claims --restate … --sdk … --markdown (see matrix.md)"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"evidence": ""}, "evidence is missing."),
        ({"seen": ""}, "seen is missing."),
        ({"verdict": "maybe"}, "the verdict is one of holds, differs, not 'maybe'."),
        ({"text": "another"}, "the text is one of interrupt-and-regenerate, "),
        ({"id": "Nonsense"}, "the id is words in small letters"),
        ({"no_lesson": ""}, "no lesson shows it: say why in no_lesson."),
        ({"lesson": "04_kill: ## Start"}, "either lesson or no_lesson."),
        ({"colour": "red"}, "'colour' = 'red' means nothing here."),
    ],
)
def test_a_fault_is_named_with_its_place(
    tmp_path: Path, change: dict[str, str], fault: str
) -> None:
    with pytest.raises(ClaimsError) as error:
        load_claims(written(tmp_path, GOOD | {"id": "first-claim"}, GOOD | change))
    assert str(error.value).startswith("tests/claims/claims.toml:10: ")
    assert fault in str(error.value)


def test_an_id_is_there_once(tmp_path: Path) -> None:
    with pytest.raises(ClaimsError, match=r":10: there is another claim 'a-claim'\."):
        load_claims(written(tmp_path, GOOD, GOOD))


def test_what_is_no_toml_is_said_to_be_none(tmp_path: Path) -> None:
    file = tmp_path / "claims.toml"
    file.write_text("[[claim]\n")
    with pytest.raises(ClaimsError, match=r"^claims\.toml is not TOML: "):
        load_claims(file)


def test_an_unknown_claim_is_refused() -> None:
    with pytest.raises(ClaimsError, match=r"There is no claim 'nonsense'; .* --list shows all\."):
        find_claim("nonsense", load_claims())


def test_the_place_is_the_line_of_the_entry() -> None:
    lines = FILE.read_text().splitlines()
    for claim in load_claims().values():
        assert lines[claim.line - 1] == "[[claim]]"
        assert lines[claim.line] == f'id = "{claim.id}"'
