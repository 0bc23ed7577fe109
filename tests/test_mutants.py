"""The mutants of the agent (`mutants.py`) fit its code, and their tests are there."""

import ast

import pytest

from tests.mutants import ROOT, Mutant, main, mutants


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.name)
def test_a_mutant_fits_and_its_tests_are_there(mutant: Mutant) -> None:
    assert mutant.fault() is None
    ast.parse((ROOT / mutant.file).read_text().replace(mutant.old, mutant.new))
    for test in mutant.tests:
        file, name = test.partition("[")[0].split("::")
        assert f"def {name}(" in (ROOT / "tests" / file).read_text()


def test_what_fits_no_more_is_said() -> None:
    gone = Mutant("gone", "agent/task.py", old="what was there once", new="")
    assert gone.fault() == "'what was there once' is 0 times in agent/task.py"


def test_a_name_may_be_a_pattern(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "the-fence-*"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "the-fence-by-turn",
        "the-fence-by-epoch",
    ]
