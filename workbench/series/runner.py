"""Runs lessons unattended, in one job or side by side, each job on a Restate of its own."""

from __future__ import annotations

import contextlib
import os
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from workbench.restate import version_in_use
from workbench.series.cell_limit import CELL_SECONDS
from workbench.series.disk import complaint, full_disk, make_folder
from workbench.series.ending import JOB, JUPYTER, end_run, new_run
from workbench.series.facts import facts, servers
from workbench.series.floor import model_seconds
from workbench.series.folders import jupyter_folders
from workbench.series.given import check_parameters, count_cells
from workbench.series.junit import write_junit
from workbench.series.leftover import end_leftovers
from workbench.series.lesson import execute
from workbench.series.logs import forget_logs, keep_logs
from workbench.series.outcome import NO_SPACE, OF_THE_NOTEBOOK, Failure, Outcome
from workbench.series.report import Report
from workbench.series.site.site import Site
from workbench.state_dir import WorkbenchError, state_dir

Verify = Callable[[Path, Path], list[Failure]]


def run(
    lessons: Sequence[Path],
    *,
    build: Path,
    jobs: int = 1,
    parameters: Mapping[str, Any] | None = None,
    cell_seconds: int = CELL_SECONDS,
    verify: Verify | None = None,
) -> bool:
    """Run `lessons`, notebooks of one folder, and tell whether all of them passed.

    Executed copies go to the folder `build`, with a web site of them, a JUnit file, and the logs of
    lessons that failed. Lessons of the same job share a server. Nothing that they started is left
    running when this returns. `verify` is given each lesson that came to its end, and the executed
    copy: what it returns is wrong with the lesson too. Raises WorkbenchError, before anything runs,
    for a notebook or a parameter that does not exist; and in the end, for a report that could not
    be written.
    """
    cells = {lesson.resolve(): count_cells(lesson) for lesson in lessons}
    check_parameters(lessons, parameters or {})
    make_folder(build)
    lessons, build = [lesson.resolve() for lesson in lessons], build.resolve()
    site, known = Site(lessons, build), facts(datetime.now(timezone.utc))
    # Side by side the longest go first, lest one of them begin when the others are about to end.
    order = sorted(lessons, key=lambda one: -cells[one]) if jobs > 1 else lessons
    with _run_folder() as folder, Report(lessons, sum(cells.values()), build) as report:
        _keep_files_below(folder)
        os.chdir(lessons[0].parent)  # a kernel starts in the folder of its notebook
        with ThreadPoolExecutor(jobs) as kernels, ThreadPoolExecutor(1) as pages:
            series = _Series(
                order, build, parameters or {}, cell_seconds, verify, report, site, pages
            )
            homes = [folder / f"{JOB}{number + 1}" for number in range(jobs)]
            work = [kernels.submit(series.work, home) for home in homes]
            try:
                wait(work)
            except KeyboardInterrupt:
                series.stopping.set()
                pages.shutdown(wait=False, cancel_futures=True)
                end_run(folder)  # the threads end once their kernels are gone
                raise
    for job in work:
        job.result()  # raises what only a fault of our own can raise, or a full disk
    outcomes = sorted(series.outcomes, key=lambda outcome: lessons.index(outcome.lesson))
    passed = report.summary(outcomes, jobs)
    _all_written(
        *(page.result for page in series.pages),
        lambda: write_junit(outcomes, known, build / "junit.xml"),
        lambda: site.write_contents(outcomes, {"Restate": servers(outcomes), **known}),
    )
    return passed


class _Series:
    """Lessons that wait to be run; every job takes the next one."""

    def __init__(
        self,
        lessons: Sequence[Path],
        build: Path,
        parameters: Mapping[str, Any],
        cell_seconds: int,
        verify: Verify | None,
        report: Report,
        site: Site,
        page_writer: Executor,
    ) -> None:
        self.stopping = threading.Event()
        self.outcomes: list[Outcome] = []
        self.pages: list[Future[None]] = []
        self._waiting: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for lesson in lessons:
            self._waiting.put(lesson)
        self._build = build
        self._parameters = parameters
        self._cell_seconds = cell_seconds
        self._verify = verify
        self._report = report
        self._site = site
        self._page_writer = page_writer

    def work(self, home: Path) -> None:
        """Run lessons until there is none left, with `home` as their workbench's home."""
        make_folder(home / "logs")
        with contextlib.suppress(queue.Empty):
            while not self.stopping.is_set():
                self._run(self._waiting.get_nowait(), home)

    def _run(self, lesson: Path, home: Path) -> None:
        self._report.begin(lesson)
        began, started = time.time(), time.monotonic()
        first_cell: list[float] = []

        def begin_cell() -> None:
            first_cell[:] = first_cell or [time.time()]
            self._begin_cell()

        copy, logs = self._build / lesson.name, self._build / "logs" / lesson.stem
        copy.unlink(missing_ok=True)
        forget_logs(logs)
        failure = execute(
            Path(lesson.name),
            Path(os.path.relpath(copy)),  # it is written into the copy, and no one else's business
            env={
                "WORKBENCH_HOME": str(home),
                "IPYTHONDIR": str(home / "ipython"),  # two kernels at once would make the same one
                # A server that was there before has seen the counted keys before.
                "WORKBENCH_KEYS": "" if os.environ.get("RESTATE_MODE") == "external" else "counted",
            },
            log=home / "logs" / f"kernel-{lesson.stem}.log",
            parameters=self._parameters,
            on_cell=begin_cell,
            cell_seconds=self._cell_seconds,
        )
        if self.stopping.is_set():
            return
        ended = time.monotonic()
        failures = [one for one in (failure, end_leftovers(home)) if one]
        if self._verify and not failure:
            failures += self._verify(lesson, copy)
        failures += _full_disk(failures, home, self._build)
        tell_more = any(one.kind not in OF_THE_NOTEBOOK for one in failures)
        outcome = Outcome(
            lesson=lesson,
            copy=copy,
            seconds=ended - started,
            kernel_seconds=first_cell[0] - began if first_cell else 0.0,
            model_seconds=model_seconds(home, since=began),
            failures=failures,
            server=version_in_use(home),
            logs=keep_logs(home, since=began, folder=logs) if tell_more else {},
        )
        self.outcomes.append(outcome)
        self._report.end(outcome)
        self.pages.append(self._page_writer.submit(self._site.write_lesson, outcome))

    def _begin_cell(self) -> None:
        if self.stopping.is_set():  # its kernel came too late to be ended with the others
            raise InterruptedError("The run was interrupted.")
        self._report.cell()


def _full_disk(failures: Sequence[Failure], *folders: Path) -> list[Failure]:
    """What may be at the bottom of the failures, unless one says so of a file of the run."""
    if not failures or any(one.kind == NO_SPACE and not one.cell for one in failures):
        return []
    text = full_disk(*folders)
    return [Failure(NO_SPACE, text)] if text else []


def _all_written(*writers: Callable[[], None]) -> None:
    """Call each of the writers. Raises WorkbenchError with all that they complain of."""
    complaints = []
    for write in writers:
        try:
            write()
        except WorkbenchError as error:
            complaints.append(str(error))
    if complaints:
        raise WorkbenchError("\n".join(complaints))


@contextlib.contextmanager
def _run_folder() -> Iterator[Path]:
    try:
        folder = new_run()
    except OSError as error:
        raise complaint(error, state_dir()) from error
    try:
        yield folder
    finally:
        end_run(folder)


def _keep_files_below(folder: Path) -> None:
    """Have what this process and the kernels write for a while go with the run's folder."""
    base, temporary = folder / JUPYTER, folder / "tmp"
    make_folder(base)
    make_folder(temporary)
    tempfile.tempdir = str(temporary)
    os.environ.update(jupyter_folders(base), TMPDIR=str(temporary))
