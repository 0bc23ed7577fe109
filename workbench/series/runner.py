"""Runs lessons unattended, in one job or side by side, each job on a Restate of its own."""

from __future__ import annotations

import contextlib
import os
import queue
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import nbformat
import papermill

from workbench.errors import WorkbenchError
from workbench.restate.docker import last_log_lines
from workbench.series.ending import JOB, JUPYTER, end_run, new_run
from workbench.series.folders import jupyter_folders
from workbench.series.lesson import execute
from workbench.series.page import write_page
from workbench.series.report import Report

_LOG_LINES = 15


def run(
    lessons: Sequence[Path],
    *,
    build: Path,
    jobs: int = 1,
    parameters: Mapping[str, Any] | None = None,
) -> bool:
    """Run `lessons`, notebooks of one folder, and tell whether all of them passed.

    Executed copies and web pages of them go to the folder `build`. Lessons of the same job share a
    server. Nothing that they started is left running when this returns. Raises WorkbenchError,
    before anything runs, for a notebook or a parameter that does not exist; and in the end, for a
    diagram that cannot be drawn.
    """
    cells = sum(_count_cells(lesson) for lesson in lessons)
    _check_parameters(lessons, parameters or {})
    build.mkdir(parents=True, exist_ok=True)
    lessons, build = [lesson.resolve() for lesson in lessons], build.resolve()
    with _run_folder() as folder, Report(lessons, cells, build) as report:
        _keep_files_below(folder)
        os.chdir(lessons[0].parent)  # a kernel starts in the folder of its notebook
        with ThreadPoolExecutor(jobs) as kernels, ThreadPoolExecutor(1) as pages:
            series = _Series(lessons, build, parameters or {}, report, pages)
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
        job.result()  # raises what only a fault of our own can raise
    passed = report.summary()
    for page in series.pages:
        page.result()
    return passed


class _Series:
    """Lessons that wait to be run; every job takes the next one."""

    def __init__(
        self,
        lessons: Sequence[Path],
        build: Path,
        parameters: Mapping[str, Any],
        report: Report,
        pages: Executor,
    ) -> None:
        self.stopping = threading.Event()
        self.pages: list[Future[Path]] = []
        self._waiting: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for lesson in lessons:
            self._waiting.put(lesson)
        self._build = build
        self._parameters = parameters
        self._report = report
        self._page_writer = pages

    def work(self, home: Path) -> None:
        """Run lessons until there is none left, with `home` as their workbench's home."""
        (home / "logs").mkdir(parents=True)
        with contextlib.suppress(queue.Empty):
            while not self.stopping.is_set():
                self._run(self._waiting.get_nowait(), home)

    def _run(self, lesson: Path, home: Path) -> None:
        self._report.begin(lesson)
        began, started = time.time(), time.monotonic()
        copy = self._build / lesson.name
        copy.unlink(missing_ok=True)
        failure = execute(
            Path(lesson.name),
            Path(os.path.relpath(copy)),  # it is written into the copy, and no one else's business
            env={
                "WORKBENCH_HOME": str(home),
                "IPYTHONDIR": str(home / "ipython"),  # two kernels at once would make the same one
                # A server that was there before has seen the counted keys before.
                "WORKBENCH_KEYS": "" if os.environ.get("RESTATE_MODE") == "external" else "counted",
            },
            log=home / "logs" / "kernel.log",
            parameters=self._parameters,
            on_cell=self._begin_cell,
        )
        if self.stopping.is_set():
            return
        seconds = time.monotonic() - started
        self._report.end(lesson, seconds, failure, _logs(home, since=began) if failure else {})
        if copy.exists():  # its kernel has started
            self.pages.append(self._page_writer.submit(write_page, copy))

    def _begin_cell(self) -> None:
        if self.stopping.is_set():  # its kernel came too late to be ended with the others
            raise InterruptedError("The run was interrupted.")
        self._report.cell()


@contextlib.contextmanager
def _run_folder() -> Iterator[Path]:
    folder = new_run()
    try:
        yield folder
    finally:
        end_run(folder)


def _keep_files_below(folder: Path) -> None:
    """Have what this process and the kernels write for a while go with the run's folder."""
    base, temporary = folder / JUPYTER, folder / "tmp"
    base.mkdir()
    temporary.mkdir()
    tempfile.tempdir = str(temporary)
    os.environ.update(jupyter_folders(base), TMPDIR=str(temporary))


def _logs(home: Path, *, since: float) -> dict[str, str]:
    """The last lines of each log of a home that was written to after `since` (Unix time)."""
    logs = {
        log.name: "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
        for log in sorted((home / "logs").glob("*.log"))
        if log.stat().st_mtime >= since and log.stat().st_size
    }
    in_docker = last_log_lines(home)
    return logs | {"the Restate container's log": in_docker} if in_docker else logs


def _count_cells(lesson: Path) -> int:
    try:
        return len(nbformat.read(lesson, as_version=4).cells)
    except (OSError, ValueError) as error:
        raise WorkbenchError(f"{lesson} is not a notebook: {error}") from error


def _check_parameters(lessons: Sequence[Path], parameters: Mapping[str, Any]) -> None:
    if not parameters:
        return
    for lesson in lessons:
        known = papermill.inspect_notebook(lesson)
        for name in parameters:
            if name not in known:
                raise WorkbenchError(
                    f"{lesson.stem} has no parameter {name!r}; it has: {', '.join(known) or 'none'}"
                )
