"""What a person sees of a run: a bar on a terminal, a line per lesson, each failure whole."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from workbench.series.floor import floor_line
from workbench.series.outcome import Outcome


class Report:
    """Prints a run as it goes: a context in which the bar is shown. Threads may share it."""

    def __init__(self, lessons: Sequence[Path], cells: int, build: Path) -> None:
        """`cells` is how many cells the lessons have together."""
        self._console = Console(highlight=False, markup=False, soft_wrap=True)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("cells"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task("", total=cells)
        self._lessons = [lesson.stem for lesson in lessons]
        self._build = build
        self._at_work: list[str] = []
        self._failed: dict[str, str] = {}
        self._started = time.monotonic()

    def __enter__(self) -> Report:
        many = "1 lesson" if len(self._lessons) == 1 else f"{len(self._lessons)} lessons"
        self._console.print(f"Running {many}; copies and pages go to {self._build}")
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, lesson: Path) -> None:
        """A lesson begins."""
        self._at_work.append(lesson.stem)
        self._show_at_work()

    def cell(self) -> None:
        """A cell begins."""
        self._progress.advance(self._task)

    def end(self, outcome: Outcome) -> None:
        """A lesson has ended."""
        name = outcome.lesson.stem
        self._at_work.remove(name)
        self._show_at_work()
        width = max(map(len, self._lessons))
        sign = "✗" if outcome.failures else "✓"
        self._console.print(f"{sign} {name:<{width}} {outcome.seconds:6.1f} s  {outcome.verdict}")
        if outcome.failures:
            self._failed[name] = _describe(name, outcome)

    def summary(self, outcomes: Sequence[Outcome], jobs: int) -> bool:
        """Print the failures and the verdict on the whole; whether all lessons passed."""
        for failure in self._failed.values():
            self._console.print(failure)
        count, seconds = len(self._lessons), time.monotonic() - self._started
        if self._failed:
            verdict = f"{len(self._failed)} of {count} lessons failed: {', '.join(self._failed)}"
        else:
            verdict = f"{count} of {count} lessons passed"
        self._console.print(f"{verdict} · {seconds:.1f} s")
        if any(outcome.model_seconds for outcome in outcomes):
            self._console.print(floor_line(outcomes, jobs=jobs, seconds=seconds))
        return not self._failed

    def _show_at_work(self) -> None:
        self._progress.update(self._task, description=", ".join(self._at_work))


def _describe(name: str, outcome: Outcome) -> str:
    parts = []
    for failure in outcome.failures:
        where = f" {name}, cell {failure.cell} " if failure.cell else f" {name} "
        source = [textwrap.indent(failure.source, "  ")] if failure.source else []
        parts += [f"\n{where:─^80}", *source, failure.error]
    for log, lines in outcome.logs.items():
        parts.append(f"\nThe end of {log}:\n{textwrap.indent(lines, '  ')}")
    return "\n".join(parts)
