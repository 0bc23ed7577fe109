"""Executes a lesson with papermill, in a kernel of its own, and names what went wrong."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import STDOUT
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines

from workbench.leftovers import end_leftovers
from workbench.restate.docker import last_log_lines

DIFFERS = "differs"
NO_SPACE = "no space left"

_FULL = (errno.ENOSPC, errno.EDQUOT)
_LITTLE = 1 << 20  # of a disk that is full, a few blocks may be free
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_SHOWN_LINES = 15


@dataclass(frozen=True)
class Failure:
    """One thing that is wrong with a lesson."""

    kind: str
    """A few words that read well before "in cell 5"."""
    text: str
    """The message to show: several lines, perhaps a traceback."""
    place: int | None = None
    """The index of the cell; None: it is about the lesson as a whole."""


@dataclass
class Result:
    """The result of a lesson."""

    cells: list[Any] = field(default_factory=list)
    """The executed cells, with their outputs; those that were not reached have none."""
    failures: list[Failure] = field(default_factory=list)
    logs: str = ""
    """The ends of the logs of its processes, if something failed that they may explain."""
    seconds: float = 0.0

    def verdict(self) -> str:
        """The failures in a few words, such as `differs in cells 3, 7`; or `passed`."""
        kinds: dict[str, list[str]] = {}
        for failure in self.failures:
            places = kinds.setdefault(failure.kind, [])
            places += [] if failure.place is None else [str(failure.place + 1)]
        where = {
            kind: f" in cell{'s'[: len(places) - 1]} {', '.join(places)}" if places else ""
            for kind, places in kinds.items()
        }
        return ", ".join(f"{kind}{place}" for kind, place in where.items()) or "passed"


class _Client(PapermillNotebookClient):  # type: ignore[misc]  # papermill has no types
    """Ends a kernel whose cell took too long at once: it would not answer a request to end."""

    async def _async_handle_timeout(self, timeout: int, cell: Any = None) -> Any:
        self.shutdown_kernel = "immediate"
        return await super()._async_handle_timeout(timeout, cell)


class _Engine(NBClientEngine):  # type: ignore[misc]  # papermill has no types
    """papermill's engine with a client of ours: lessons run in threads, each with a kernel."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, *, execute: Callable[[Any], None], **_: Any
    ) -> None:
        execute(nb_man)


papermill_engines.register("lesson", _Engine)


def run_lesson(
    lesson: Path,
    copy: Path,
    job: Path,
    *,
    env: Mapping[str, str | None],
    cell_seconds: int,
    begin_cell: Callable[[], None],
) -> Result:
    """Execute `lesson` and write it, as far as it got, to `copy`; end what it left running.

    The workbench keeps its files in `job`. `env` is added to this process's environment for the
    kernel; None takes a variable away. `begin_cell` is called as each cell begins: what it raises
    ends the lesson. So does a cell that takes more than `cell_seconds`.
    """
    began, started = time.time(), time.monotonic()
    result = Result()
    logs = copy.parent / "logs" / lesson.stem
    shutil.rmtree(logs, ignore_errors=True)
    if failure := _execute(lesson, copy, job, env, cell_seconds, begin_cell, result.cells):
        result.failures.append(failure)
    if left := end_leftovers(job):
        text = "Still running after the lesson's kernel had ended, now ended too:"
        result.failures.append(Failure("left processes running", "\n  ".join([text, *left])))
    if result.failures:
        result.failures += _full_disks(result.failures, job, copy.parent)
        result.logs = _keep_logs(job, since=began, folder=logs)
    result.seconds = time.monotonic() - started
    return result


def no_space(error: OSError, path: Path | str) -> str:
    """The message for a file that could not be written."""
    if error.errno in _FULL:
        return f"No space left on the disk: {path} could not be written. Free some, and try again."
    return f"{path} could not be written: {error.strerror}."


def _execute(
    lesson: Path,
    copy: Path,
    job: Path,
    env: Mapping[str, str | None],
    cell_seconds: int,
    begin_cell: Callable[[], None],
    cells: list[Any],
) -> Failure | None:
    """Execute the lesson, and note its cells in `cells`; what ended it before its end, if any."""
    place: int | None = None
    book: Any = None
    process: Any = None
    environment = {
        name: value for name, value in {**os.environ, **env}.items() if value is not None
    }

    def note_cell(cell_index: int, **_: Any) -> None:
        nonlocal place
        place = cell_index
        begin_cell()

    def note_process(client: Any) -> None:
        nonlocal process
        process = client.km.provisioner.process

    def execute(executing: Any) -> None:
        nonlocal book
        book = executing.nb
        cells.extend(book.cells)  # papermill adds remarks to the book of one that fails
        client = _Client(
            executing,
            kernel_name="python3",
            timeout=cell_seconds,
            on_cell_start=note_cell,
            # A kernel that crashes says so in its log.
            extra_arguments=["--IPKernelApp.exec_lines=__import__('faulthandler').enable()"],
        )
        with log.open("ab") as output, _socket() as socket:
            client.on_notebook_start = lambda **_: note_process(client)
            kernel = client.create_kernel_manager()
            kernel.transport, kernel.ip = "ipc", str(socket)  # two may choose one TCP port
            client.execute(env=environment, cwd=str(lesson.parent), stdout=output, stderr=STDOUT)

    try:
        (job / "logs").mkdir(parents=True, exist_ok=True)
        log = job / "logs" / f"kernel-{lesson.stem}.log"
        papermill.execute_notebook(
            os.path.relpath(lesson),  # it is written into the copy
            os.path.relpath(copy),
            engine_name="lesson",
            kernel_name="python3",
            execute=execute,
            request_save_on_cell_execute=False,  # most of a run's own time would go there
            progress_bar=False,
        )
    except papermill.PapermillExecutionError as error:
        is_full = error.evalue.startswith(tuple(f"[Errno {number}]" for number in _FULL))
        text = _ANSI.sub("", "\n".join(error.traceback))
        return Failure(NO_SPACE if is_full else "failed", text, error.cell_index)
    except DeadKernelError:
        _write(book, copy)
        how = _describe_end(process.poll() if process else None)
        return Failure("kernel died", f"The kernel {how}.", place)
    except CellTimeoutError:
        _write(book, copy)
        limit = f"It took more than {cell_seconds} s, the limit for a cell (--cell-timeout)"
        return Failure("took too long", f"{limit}; its kernel was ended.", place)
    except Exception as error:  # whatever it is, it is this lesson's verdict
        if isinstance(error, OSError) and error.errno in _FULL:
            return Failure(NO_SPACE, no_space(error, error.filename or copy))
        kind = "kernel did not start" if place is None else "failed"
        return Failure(kind, f"{type(error).__name__}: {error}", place)
    return None


@contextlib.contextmanager
def _socket() -> Iterator[Path]:
    """The beginning of the paths of a kernel's sockets, which have to be short."""
    long = len(tempfile.gettempdir()) > 50
    with tempfile.TemporaryDirectory(prefix="k-", dir="/tmp" if long else None) as folder:
        yield Path(folder, "k")


def _write(book: Any, copy: Path) -> None:
    with contextlib.suppress(OSError):  # a full disk: the run says so anyway
        nbformat.write(book, copy)


def _describe_end(code: int | None) -> str:
    if code is None:
        return "ended"
    if code >= 0:
        return f"exited with code {code}"
    memory = ", as the system does when memory runs out" if -code == signal.SIGKILL else ""
    return f"was ended by {signal.Signals(-code).name}{memory}"


def _full_disks(failures: list[Failure], *folders: Path) -> list[Failure]:
    """What may be at the bottom of the failures, unless one names a file that had no room."""
    if any(failure.kind == NO_SPACE and failure.place is None for failure in failures):
        return []
    return [
        Failure(NO_SPACE, f"No space left on the disk of {folder}. Free some, and try again.")
        for folder in folders
        if shutil.disk_usage(folder).free < _LITTLE
    ][:1]


def _keep_logs(job: Path, *, since: float, folder: Path) -> str:
    """Copy to `folder` the logs that were written to after `since` (Unix time); their ends."""
    logs = sorted((job / "logs").glob("*.log"))
    new = [log for log in logs if log.stat().st_mtime >= since and log.stat().st_size]
    texts = {log.name: log.read_text(errors="replace") for log in new}
    if in_docker := last_log_lines(job, 10_000):
        texts["restate-container.log"] = in_docker
    with contextlib.suppress(OSError):  # a full disk: the run says so anyway
        for name, text in texts.items():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    ends = {name: text.splitlines()[-_SHOWN_LINES:] for name, text in texts.items()}
    return "\n".join("\n  ".join([f"The end of {name}:", *lines]) for name, lines in ends.items())
