"""The run of a session's lessons: side by side, in threads of this process.

Each job has a Restate server, shared by its lessons. build/ gets the lessons as they ran, pages of
them, and logs.
"""

from __future__ import annotations

import os
import platform
import queue
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

from notebooks.compare import difference
from notebooks.lesson import DIFFERS, Failure, Result, no_space, run_lesson
from notebooks.site import write_index, write_page
from workbench.jupyterlab import jupyter_folders
from workbench.leftovers import JOB, RUN, end_run
from workbench.state_dir import REPOSITORY, state_dir

if TYPE_CHECKING:
    import pytest

    from notebooks.conftest import Lesson


class Run:
    """The lessons of a session: started together, and asked for by their cells."""

    def __init__(self, config: pytest.Config, compares: bool) -> None:
        self.build: Path = config.getoption("--build")
        self.unwritten = ""
        self._config, self._compares = config, compares
        self._lessons: list[Lesson] = []
        self._results: dict[Lesson, Future[Result]] = {}
        self._folder: Path | None = None
        self._stopping = threading.Event()
        self._printing, self._writing_pages = threading.Lock(), threading.Lock()
        self._at_work: list[str] = []
        self._begun = self._rewritten = 0

    def start(self, lessons: list[Lesson]) -> None:
        """Begin to run the lessons, as many at a time as there are jobs."""
        self._lessons, jobs = lessons, self._config.getoption("--jobs")
        self._reporter: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        self._folder = Path(tempfile.mkdtemp(prefix=RUN, dir=state_dir()))
        for needed in (self.build, self._folder / "tmp", self._folder / "jupyter"):
            needed.mkdir(parents=True, exist_ok=True)
        os.environ.update(jupyter_folders(self._folder / "jupyter"))
        self._homes: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(jobs):
            self._homes.put(self._folder / f"{JOB}{number + 1}")
        self._env: dict[str, str | None] = {
            "TMPDIR": str(self._folder / "tmp"),
            # A server that was there before has seen the counted keys before.
            "WORKBENCH_KEYS": "" if os.environ.get("RESTATE_MODE") == "external" else "counted",
        }
        if jobs > 1:  # each has ports of its own
            self._env |= {f"RESTATE_{name}_PORT": None for name in ("INGRESS", "ADMIN", "NODE")}
        many = "1 lesson" if len(lessons) == 1 else f"{len(lessons)} lessons"
        self._show(f"Running {many}; copies and pages go to {self.build}")
        if self._compares:
            self._forget_provider()
        # Side by side the longest begin first, lest one of them begin when the others end.
        order = sorted(lessons, key=lambda one: -len(one.cells)) if jobs > 1 else lessons
        self._pool = ThreadPoolExecutor(jobs)
        self._results = {lesson: self._pool.submit(self._run, lesson) for lesson in order}

    @property
    def started(self) -> bool:
        """Whether there was anything to run."""
        return self._folder is not None

    def result(self, lesson: Lesson) -> Result:
        """The result of a lesson, once it has ended."""
        return self._results[lesson].result()

    def end(self) -> None:
        """End all that was started; a lesson under way ends with its kernel."""
        self._stopping.set()
        if self._folder is not None:
            self._show()
            end_run(self._folder)
            self._pool.shutdown(cancel_futures=True)
            shutil.rmtree(self._folder, ignore_errors=True)  # what its kernel wrote last

    def write_index(self) -> None:
        """Write the page that leads to the others, and the versions into the JUnit file."""
        done = self._done()
        if self._folder is not None:
            verdicts = {lesson.path.stem: result.verdict() for lesson, result in done.items()}
            write_index(self.build, verdicts, self._versions())
        from _pytest.junitxml import xml_key

        if xml := self._config.stash.get(xml_key, None):
            for name, value in self._versions().items():
                xml.add_global_property(name, value)

    def summary(self) -> list[str]:
        """The last lines of the run's report."""
        if not self._lessons:
            return []
        done = self._done()
        lines = list(self._annotations(done)) if os.environ.get("GITHUB_ACTIONS") else []
        lines.append(" · ".join(f"{name} {value}" for name, value in self._versions().items()))
        failed = [lesson.path.stem for lesson, result in done.items() if result.failures]
        if failed:
            lines.append(f"{len(failed)} of {len(done)} lessons failed: {', '.join(failed)}")
        if self._config.getoption("--update"):
            cells = "1 cell" if self._rewritten == 1 else f"{self._rewritten} cells"
            lines.append(f"Wrote the outputs of {cells} into the lessons; git diff shows them.")
        return [*lines, self.unwritten] if self.unwritten else lines

    def _done(self) -> dict[Lesson, Result]:
        """The results of the lessons that have ended, in order."""
        done = {one: self._results[one] for one in self._lessons if self._results[one].done()}
        over = {one: future for one, future in done.items() if not future.cancelled()}
        return {one: future.result() for one, future in over.items() if not future.exception()}

    def _run(self, lesson: Lesson) -> Result:
        """Run a lesson, in a thread; compare its outputs, or write them, and write its page."""
        job, name = self._homes.get(), lesson.path.stem
        self._at_work.append(name)
        copy = self.build / lesson.path.name
        copy.unlink(missing_ok=True)
        # Two kernels at once would make the same folder.
        env = {**self._env, "WORKBENCH_HOME": str(job), "IPYTHONDIR": str(job / "ipython")}
        seconds = self._config.getoption("--cell-timeout")
        source = lesson.path
        if self._config.getoption("--variant"):
            source = job / name / lesson.path.name
            source.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(lesson.book, source)
        try:
            result = run_lesson(
                *(source, copy, job),
                env=env,
                cell_seconds=seconds,
                begin_cell=self._begin_cell,
            )
        finally:
            self._homes.put(job)
            self._at_work.remove(name)
        if self._stopping.is_set():
            return result
        try:
            if self._compares and not result.failures:
                result.failures += self._compare(lesson, result)
            with self._writing_pages:
                write_page(copy if copy.exists() else source, self.build)
        except OSError as error:
            text = no_space(error, error.filename or self.build / f"{name}.html")
            result.failures.append(Failure("not written", text))
        sign, width = (
            "✗" if result.failures else "✓",
            max(len(one.path.stem) for one in self._lessons),
        )
        self._show(f"{sign} {name:<{width}} {result.seconds:6.1f} s  {result.verdict()}")
        return result

    def _compare(self, lesson: Lesson, result: Result) -> list[Failure]:
        """The cells whose outputs differ; with --update these are written instead."""
        update, everything = map(self._config.getoption, ("--update", "--everything"))
        found, changed = [], False
        for place, (old, new) in enumerate(zip(lesson.cells, result.cells, strict=True)):
            if old.cell_type != "code":
                continue
            try:
                diff = difference(old.outputs, new.outputs, old.metadata.get("tags", []))
            except ValueError as error:
                found.append(Failure("malformed", str(error), place))
                continue
            if diff and not update:
                hint = f"If what is seen is right: ./scripts/check --update {lesson.path.stem}"
                text = f"Committed (-) and seen (+):\n{diff}\n{hint}"
                found.append(Failure(DIFFERS, text, place))
            if update:
                changed |= old.execution_count != new.execution_count
                old.execution_count = new.execution_count
                if (diff or everything) and old.outputs != new.outputs:
                    old.outputs = new.outputs
                    self._rewritten += 1
                    changed = True
        if changed:
            nbformat.write(lesson.book, lesson.path)
        return found

    def _begin_cell(self) -> None:
        if self._stopping.is_set():  # its kernel came too late to be ended with the others
            raise InterruptedError("The run was interrupted.")
        self._begun += 1
        self._show()

    def _show(self, line: str = "") -> None:
        """Print a line; on a terminal, below it what is under way."""
        with self._printing:
            if self._reporter.isatty:
                self._reporter.write("\r\x1b[K")
            if line:
                self._reporter.write_line(line)
            if self._reporter.isatty and self._at_work:
                cells = sum(len(lesson.cells) for lesson in self._lessons)
                state = f"{self._begun} of {cells} cells · {', '.join(self._at_work)}"
                self._reporter.write(state[: shutil.get_terminal_size().columns - 1], flush=True)

    def _forget_provider(self) -> None:
        found = [name for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL") if os.environ.pop(name, "")]
        if found:
            names = " and ".join(found)
            self._show(f"Not used: {names}. A check runs on the scripted model.")

    def _versions(self) -> dict[str, str]:
        """The versions that the lessons ran on; they print the server's themselves."""
        outputs = str([cell.get("outputs") for one in self._done().values() for cell in one.cells])
        servers = sorted(set(re.findall(r"Restate (\d+\.\d+\.\d+ \(\w+\))", outputs)))
        return {
            "Restate": ", ".join(servers) or "not started",
            "SDK": version("restate-sdk"),
            "Python": platform.python_version(),
        }

    def _annotations(self, done: dict[Lesson, Result]) -> Iterator[str]:
        """Annotations that GitHub shows beside the lessons."""
        for lesson, result in done.items():
            for failure in result.failures:
                file = os.path.relpath(lesson.path, REPOSITORY)
                number, place = lesson.path.stem[:2], failure.place
                title = f"{number} cell {place + 1}" if place is not None else number
                lines = failure.text.strip().splitlines()
                text = "\n".join(lines[-1:] if failure.kind == "failed" else lines)
                text = f"{failure.kind}: {text}"
                for sign, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
                    text = text.replace(sign, code)
                yield f"::error file={file},title={title}::{text}"
