"""The mutants of the agent (`mutants.py`) fit its code, and their tests are there."""

import ast
import subprocess
import sys

import pytest

from tests.mutants import ROOT, Mutant, mutants


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.name)
def test_a_mutant_fits(mutant: Mutant) -> None:
    assert mutant.fault() is None
    mutated = (ROOT / mutant.file).read_text().replace(mutant.old, mutant.new)
    ast.parse(mutated)


def test_their_tests_are_there() -> None:
    tests = sorted({f"tests/{test}" for mutant in mutants() for test in mutant.tests})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *tests]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
