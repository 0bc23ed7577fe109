"""`pytest notebooks`: a lesson is a file of tests, and a cell of code is a test.

A cell fails if it raises, takes too long, ends its kernel, or puts out something else than is
committed. All lessons are started at once (`run.py`); their cells then wait for what came of them.
"""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from notebooks.lesson import DIFFERS, no_space
from notebooks.run import Run
from notebooks.variants import VARIANTS, variant_of
from workbench.optional import missing
from workbench.state_dir import REPOSITORY

_LESSON = re.compile(r"\d\d_\w+\.ipynb")
_NOT_REACHED = "not reached"
_RUN = pytest.StashKey["Run"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lessons")
    group.addoption("--update", action="store_true", help="write outputs that differ")
    group.addoption("--everything", action="store_true", help="with --update: what may vary too")
    group.addoption("--no-compare", action="store_true", help="run the lessons, compare nothing")
    group.addoption("--jobs", type=int, default=3, help="how many lessons at a time")
    group.addoption("--cell-timeout", type=int, default=60, help="seconds for a cell")
    group.addoption("--variant", choices=VARIANTS, help="how the reader goes through a lesson")
    group.addoption("--pause", type=float, default=75, help="seconds that a slow reader takes")
    group.addoption("--seed", type=int, default=1, help="of the order of a shuffled lesson")
    group.addoption("--build", type=Path, default=REPOSITORY / "build", help="for the results")


def pytest_configure(config: pytest.Config) -> None:
    compares = not (config.getoption("--no-compare") or config.getoption("--variant"))
    if compares and os.environ.get("RESTATE_MODE") == "external":
        raise pytest.UsageError("Only a new server's outputs compare: unset RESTATE_MODE=external.")
    config.stash[_RUN] = Run(config, compares)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize tests of a lesson's form with the lessons that were asked for."""
    if "lesson" in metafunc.fixturenames:
        asked = [Path(one) for one in metafunc.config.args if one.endswith(".ipynb")]
        lessons = asked or sorted(Path(__file__).parent.glob("[0-9][0-9]_*.ipynb"))
        metafunc.parametrize("lesson", lessons, ids=lambda lesson: lesson.stem)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Lesson | None:
    if not _LESSON.match(file_path.name):
        return None
    if parent.config.getoption("numprocesses", None):
        raise pytest.UsageError("Lessons run in one process: --jobs 3 instead of -n 3.")
    return Lesson.from_parent(parent, path=file_path)


def pytest_collection_finish(session: pytest.Session) -> None:
    lessons = dict.fromkeys(item.parent for item in session.items if isinstance(item, Part))
    if lessons and not session.testsfailed and not session.config.option.collectonly:
        session.config.stash[_RUN].start([one for one in lessons if isinstance(one, Lesson)])


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Print no letter for what is tested here: a lesson has a line."""
    is_ours = report.nodeid.startswith("notebooks/") or ".ipynb::" in report.nodeid
    is_told = is_ours and report.when == "call"
    return (report.outcome, "", report.outcome.upper()) if is_told else None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Report a cell's own seconds, not those of its comparison."""
    outcome: Any = yield
    if isinstance(item, Cell) and outcome.get_result().when == "call":
        outcome.get_result().duration = item.seconds


@pytest.hookimpl(wrapper=True, trylast=True)  # the last to act before the reports are written
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Iterator[None]:
    run = session.config.stash[_RUN]
    run.end()
    try:
        run.write_index()
        yield
    except OSError as error:
        run.unwritten = no_space(error, error.filename or session.config.option.xmlpath)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if exitstatus == pytest.ExitCode.INTERRUPTED:  # or a file that is not a notebook, before a run
        session.exitstatus = 130 if run.started or not session.testsfailed else 1


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for report in terminalreporter.getreports("skipped"):
        if ".ipynb" in report.nodeid and isinstance(report.longrepr, tuple):
            name = Path(report.nodeid.partition("::")[0]).stem
            why = report.longrepr[2].removeprefix("Skipped: ")
            if why != _NOT_REACHED:
                terminalreporter.write_line(f"– {name} was left out. {why}")
    for line in config.stash[_RUN].summary():
        terminalreporter.write_line(line)


class Lesson(pytest.File):
    """A notebook."""

    def collect(self) -> Iterator[Part | Left]:
        try:
            self.book = nbformat.read(self.path, as_version=4)
        except (OSError, ValueError) as error:
            raise self.CollectError(f"{self.path} is not a notebook: {error}") from error
        needed = self.book.metadata.get("requirements")
        if needed and (lacking := missing(needed)):
            yield Left.from_parent(self, name="the lesson as a whole", why=lacking)
            return
        option = self.config.option
        if option.variant:
            how = {"seconds": option.pause, "seed": option.seed}
            self.book = variant_of(self.book, option.variant, **how)
        self.cells: list[Any] = self.book.cells
        for place, cell in enumerate(self.cells):
            if cell.cell_type == "code" and cell.source.strip():
                first_line = textwrap.shorten(cell.source.strip().splitlines()[0], 80)
                yield Cell.from_parent(self, name=f"cell {place + 1}: {first_line}", place=place)
        yield Part.from_parent(self, name="the lesson as a whole", place=None)


class Part(pytest.Item):
    """A lesson as a whole: it leaves nothing behind, and its disk has room."""

    def __init__(self, *, place: int | None, **more: Any) -> None:
        super().__init__(**more)
        self.place = place
        self.seconds = 0.0
        self.add_marker(pytest.mark.timeout(0))  # the kernel's client has a limit of its own

    def runtest(self) -> None:
        """Fail with what went wrong here."""
        lesson: Any = self.parent
        result = self.config.stash[_RUN].result(lesson)
        found = [failure for failure in result.failures if failure.place == self.place]
        if self.place is not None and self.place < len(result.cells):
            facts = result.cells[self.place].metadata.get("papermill", {})
            self.seconds = facts.get("duration") or 0.0
            if not found and facts.get("status") != "completed":
                pytest.skip(_NOT_REACHED)
        if found:
            source = "" if self.place is None else lesson.cells[self.place].source
            logs = "" if found[0].kind == DIFFERS else result.logs
            parts = [textwrap.indent(source, "  "), *(failure.text for failure in found), logs]
            pytest.fail("\n\n".join(filter(None, parts)), pytrace=False)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The cell's name in the report."""
        where = self.name if self.place is None else f"cell {self.place + 1}"
        return self.path, self.place or 0, f"{self.path.stem}, {where}"


class Cell(Part):
    """A cell of code."""


class Left(pytest.Item):
    """A lesson that is left out: packages are missing which only it needs."""

    def __init__(self, *, why: str, **more: Any) -> None:
        super().__init__(**more)
        self.why = why

    def runtest(self) -> None:
        pytest.skip(self.why)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The lesson's name in the report."""
        return self.path, 0, self.path.stem
