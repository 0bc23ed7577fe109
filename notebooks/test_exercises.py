"""Each exercise, proved: its stub counts as not tried, its solution is right, wrong answers fail.

`pytest notebooks/test_exercises.py -k three_messages` proves one.
"""

from __future__ import annotations

import asyncio
import gc
import linecache
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import restate

import workbench as wb
from workbench.bench import Bench, up
from workbench.exercises import FAILED, NOT_TRIED, PASSED, check, hints_of
from workbench.lesson import stop_all
from workbench.state_dir import use_state_dir

FOLDER = Path(__file__).parent / "exercises"
EXERCISES = sorted(path.parent for path in FOLDER.glob("*/*/check.py"))
SIGNS = {"stub": NOT_TRIED, "solution": PASSED, "wrong": FAILED}
ANSWERS = [
    path for folder in EXERCISES for kind in SIGNS for path in sorted(folder.glob(f"{kind}*.py"))
]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with use_state_dir(tmp_path_factory.mktemp("home")):
        yield up()
        stop_all(remove_volume=True)


@pytest.fixture
def swept() -> Iterator[None]:
    """What broken-off attempts leave to the garbage collector is no other test's warning."""
    yield
    gc.collect()


@pytest.mark.timeout(20)
@pytest.mark.usefixtures("swept")
@pytest.mark.filterwarnings(
    "ignore:coroutine .* was never awaited:RuntimeWarning",  # some wrong answers do just that
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
@pytest.mark.parametrize("answer", ANSWERS, ids=lambda path: f"{path.parent.name} {path.stem}")
def test_answer(answer: Path, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    check(answer.parent.name, _answer_in(answer))
    said = capsys.readouterr().out
    sign = said[0]
    assert sign == SIGNS[answer.stem.partition("_")[0]], said
    if sign == FAILED:
        expected = answer.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        assert said.splitlines()[0] == expected, said


@pytest.mark.parametrize("folder", EXERCISES, ids=lambda path: str(path.name))
def test_exercise_is_whole(folder: Path) -> None:
    assert {"stub.py", "solution.py", "hints.md"} <= {path.name for path in folder.iterdir()}
    assert len(hints_of(folder)) == 3
    assert list(folder.glob("wrong_*.py")), "an exercise needs a wrong answer"


def _answer_in(path: Path) -> Any:
    """The last thing that the file defines, as if its text were in a cell."""
    source = path.read_text(encoding="utf-8")
    modules = {"asyncio": asyncio, "timedelta": timedelta, "uuid": uuid, "wb": wb}
    names: dict[str, Any] = {**vars(restate), **modules}
    before = set(names)
    linecache.cache[str(path)] = (len(source), None, source.splitlines(keepends=True), str(path))
    exec(compile(source, str(path), "exec"), names)
    return [value for name, value in names.items() if name not in before | {"__builtins__"}][-1]
