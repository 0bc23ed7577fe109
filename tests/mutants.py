"""`python -m tests.mutants [NAME…]`: take out one guard of the agent at a time, and see whether the
tests that are named beside it in `mutants.toml` fail.

Each runs in a copy of the repository in a temporary folder. The exit code is 1 if
a mutant survives unexpectedly, is found although it should survive, or no longer fits the code.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]

_PYTEST = ["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]


@dataclass(frozen=True)
class Mutant:
    """A guard, and the code without it.

    Attributes:
        tests: those that must fail, as pytest names them, from `tests/` on.
        survives: why it is accepted that they do not.
    """

    name: str
    file: str
    old: str
    new: str
    tests: list[str] = field(default_factory=list)
    survives: str = ""

    def fault(self) -> str | None:
        """Why it does not fit the code any more."""
        times = (ROOT / self.file).read_text().count(self.old)
        return None if times == 1 else f"{self.old.strip()!r} is {times} times in {self.file}"


def mutants() -> list[Mutant]:
    """All of them, as they stand in `mutants.toml`."""
    found = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
    return [Mutant(name=name, **mutant) for name, mutant in found.items()]


def run(mutant: Mutant) -> tuple[int, str]:
    """Run its tests against a copy of the code; pytest's exit code and the line that says why."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        root = Path(folder) / "repository"
        left_out = shutil.ignore_patterns(".*", "__pycache__", "build")
        shutil.copytree(ROOT, root, ignore=left_out)
        (root / ".workbench").mkdir()
        (root / ".workbench" / "npm").symlink_to(ROOT / ".workbench" / "npm")
        path = root / mutant.file
        path.write_text(path.read_text().replace(mutant.old, mutant.new))
        tests = [f"tests/{test}" for test in mutant.tests]
        ended = subprocess.run(
            [sys.executable, *_PYTEST, f"--basetemp={folder}/tests", *tests],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
        )
    lines = [line for line in ended.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return ended.returncode, (lines or ended.stdout.splitlines() or [ended.stderr])[-1]


def main(arguments: list[str]) -> int:
    """Run those that were asked for."""
    parser = argparse.ArgumentParser("python -m tests.mutants", description=__doc__)
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help="a name, or a pattern; all without one")
    add("--list", action="store_true", help="only name them, and say which do not fit")
    chosen = parser.parse_args(arguments)
    found = [
        mutant
        for mutant in mutants()
        if any(fnmatchcase(mutant.name, name) for name in chosen.names or ["*"])
    ]
    if chosen.list:
        print("\n".join(f"{each.name:<48} {each.fault() or each.file}" for each in found))
        return 0
    wrong = [mutant.name for mutant in found if not _as_expected(mutant)]
    print(f"{len(found)} mutants, {len(wrong)} not as expected: {', '.join(wrong) or 'none'}")
    return 1 if wrong else 0


def _as_expected(mutant: Mutant) -> bool:
    """Run one, and say what became of it in a line."""
    began, fault = time.monotonic(), mutant.fault()
    if fault:
        verdict, said, expected = "does not fit", fault, False
    else:
        code, said = run(mutant)
        verdict = {0: "survived", 1: "killed"}.get(code, f"pytest ended with {code}")
        expected = verdict == ("survived" if mutant.survives else "killed")
        if expected and mutant.survives:
            said = mutant.survives
    print(
        f"{mutant.name:<48} {verdict}, {time.monotonic() - began:.0f} s: {said[:200]}", flush=True
    )
    return expected


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
