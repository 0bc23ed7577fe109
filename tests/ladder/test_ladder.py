"""The ladder's own proofs: each level is lost by the solution of the one before it, and by programs
that are known to be wrong; the last solution passes all.

That is minutes of work, so most wrong programs, the storm and the agent of the series wait for
`LADDER=whole`, which also plays every level before the one that is to be lost.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from workbench.ladder.judge import Judge, Verdict, judge_of
from workbench.ladder.levels import FOLDER, LEVELS
from workbench.lesson import stop_all
from workbench.state_dir import REPOSITORY, use_state_dir

WRONG = tomllib.loads(Path(__file__).with_name("wrong.toml").read_text())["wrong"]
WHOLE = os.environ.get("LADDER") == "whole"
LAST = LEVELS[-1].number
FIRST_OF_LEVEL = {wrong["loses"]: wrong for wrong in reversed(WRONG)}
TRIED = WRONG if WHOLE else [FIRST_OF_LEVEL[level] for level in range(4)]
pytestmark = pytest.mark.timeout(300 if WHOLE else 60)
SEEDS = count(1)  # one server for all: no two runs may have the same sessions


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("ladder")
    with use_state_dir(folder):
        yield folder
        stop_all()


@pytest.fixture
def play(home: Path, tmp_path: Path) -> Any:
    """Plays levels with a program, on the server of this module."""

    def climb(source: str, last: int, first: int = 0, storm: float = 15.0) -> list[Verdict]:
        program = tmp_path / "my_agent.py"
        program.write_text(source, encoding="utf-8")
        command = [sys.executable, str(program)]
        with judge_of("my_agent.py", command, tmp_path, next(SEEDS)) as judge:
            assert isinstance(judge, Judge)
            judge.storm_seconds = storm
            return judge.climb(last, first=first)

    return climb


def solution(level: int) -> str:
    return (FOLDER / "solutions" / f"level_{level:02d}.py").read_text(encoding="utf-8")


def changed(source: str, changes: list[list[str]]) -> str:
    for old, new in changes:
        assert source.count(old) == 1, f"{source.count(old)} times in the solution: {old}"
        source = source.replace(old, new)
    return source


@pytest.mark.timeout(300)
def test_the_last_solution_passes_all(play: Any) -> None:
    verdicts = play(solution(LAST), LAST - 1)
    assert [v.text("my_agent.py") for v in verdicts if not v.passed] == []
    assert len(verdicts) == LAST


@pytest.mark.skipif(not WHOLE, reason="LADDER is not whole")
@pytest.mark.timeout(300)
def test_the_agent_of_the_series_passes_all(home: Path) -> None:
    command = [sys.executable, "-m", "tests.ladder.our_agent"]
    with judge_of("our_agent.py", command, REPOSITORY, next(SEEDS)) as judge:
        judge.storm_seconds = 15.0
        verdicts = judge.climb(LAST)
    assert [v.text("our_agent.py") for v in verdicts if not v.passed] == []
    assert len(verdicts) == len(LEVELS)


@pytest.mark.skipif(not WHOLE, reason="LADDER is not whole")
@pytest.mark.timeout(300)
def test_the_last_solution_weathers_the_storm(play: Any) -> None:
    (verdict,) = play(solution(LAST), LAST, first=LAST)
    assert verdict.passed, verdict.text("my_agent.py")


@pytest.mark.parametrize("level", range(1, LAST + 1))
def test_no_level_is_free(play: Any, level: int) -> None:
    verdicts = play(solution(level - 1), level, first=0 if WHOLE else level)
    assert [verdict.level.number for verdict in verdicts if not verdict.passed] == [level]


@pytest.mark.parametrize("wrong", TRIED, ids=lambda wrong: wrong["name"])
def test_a_wrong_program_loses_its_level(play: Any, wrong: dict[str, Any]) -> None:
    source = changed(solution(wrong["solution"]), wrong["change"])
    verdicts = play(source, wrong["loses"], first=0 if WHOLE else wrong["loses"])
    assert [v.level.number for v in verdicts if not v.passed] == [wrong["loses"]]
    assert verdicts[-1].broken.what.startswith(wrong["says"]), verdicts[-1].text("my_agent.py")


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name)
def test_a_page_is_short_and_says_all(level: Any) -> None:
    words = re.sub(r"```.*?```", "", level.page, flags=re.DOTALL).split()
    assert len(words) <= 120
    assert level.law
    assert level.lesson
    for part in ("New", "The judge", "Taught in"):
        assert f"**{part}" in level.page
    assert f"| {level.law} |" in (FOLDER.parent / "14_ladder.ipynb").read_text(encoding="utf-8")
    option = "--all" if level.number == LAST else f"--level {level.number}"
    assert f"./scripts/judge my_agent.py {option}" in level.page
    for lesson, quoted in re.findall(
        r"\[\d\d\]\(\.\./(\S+?)\)((?:, (?:and )?\"[^\"]+\"| and \"[^\"]+\")*)", level.page
    ):
        text = (FOLDER.parent / lesson).read_text(encoding="utf-8")
        for heading in re.findall(r'"([^"]+)"', quoted):
            assert re.search(rf"## {re.escape(heading)}\\n", text), f"{lesson} has no {heading}"
