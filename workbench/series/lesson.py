"""Executes one lesson with papermill, in a fresh kernel, and says what went wrong."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import STDOUT
from typing import Any

import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines

from workbench.series import disk
from workbench.series.cell_limit import CELL_SECONDS
from workbench.series.outcome import (
    FAILED,
    KERNEL_DIED,
    NO_KERNEL,
    NO_SPACE,
    TOOK_TOO_LONG,
    Failure,
)

_TELL_OF_CRASHES = "--IPKernelApp.exec_lines=__import__('faulthandler').enable()"  # in its log
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class _Client(PapermillNotebookClient):  # type: ignore[misc]  # papermill has no types
    """Ends a kernel whose cell has taken too long at once: it would not answer a request to end."""

    async def _async_handle_timeout(self, timeout: int, cell: Any = None) -> Any:
        self.shutdown_kernel = "immediate"
        return await super()._async_handle_timeout(timeout, cell)


class _Book(NotebookExecutionManager):  # type: ignore[misc]  # papermill has no types
    """Writes the copy when the lesson is over, and not also before and after each cell.

    That is where most of a run's own time would go.
    """

    def save(self, **kwargs: Any) -> None:
        if self.end_time:
            super().save(**kwargs)


class _Engine(NBClientEngine):  # type: ignore[misc]  # papermill has no types
    """papermill's own engine, except that it can be said how the kernel is started.

    Jobs are threads of one process, so the process's environment will not do for their kernels.
    """

    @classmethod
    def execute_notebook(
        cls, nb: Any, kernel_name: str, output_path: str | None = None, **more: Any
    ) -> Any:
        book = _Book(nb, output_path, progress_bar=False)
        book.notebook_start()
        try:
            cls.execute_managed_notebook(book, kernel_name, **more)
        finally:
            book.notebook_complete()
        return book.nb

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        *,
        launch: dict[str, Any],
        cell_seconds: int,
        on_cell_start: Callable[..., None],
        on_kernel: Callable[[Any], None],
        **_: Any,
    ) -> None:
        client = _Client(
            nb_man,
            kernel_name=kernel_name,
            timeout=cell_seconds,
            on_cell_start=on_cell_start,
            extra_arguments=[_TELL_OF_CRASHES],
        )
        client.on_notebook_start = lambda **_: on_kernel(client.km.provisioner.process)
        client.execute(transport_encryption="auto", **launch)


papermill_engines.register("lesson", _Engine)


def execute(
    lesson: Path,
    copy: Path,
    *,
    env: Mapping[str, str],
    log: Path,
    parameters: Mapping[str, Any],
    on_cell: Callable[[], None],
    cell_seconds: int = CELL_SECONDS,
) -> Failure | None:
    """Execute `lesson` in the current folder and write it, as far as it got, to `copy`.

    `env` is added to this process's environment for the kernel; `log` takes what the kernel itself
    has to say, and `on_cell` is called as each cell begins: what it raises ends the lesson. So does
    a cell that takes more than `cell_seconds`.
    """
    cell, source, kernel = 0, "", None

    def begin_cell(cell_index: int, **begun: Any) -> None:
        nonlocal cell, source
        cell, source = cell_index + 1, begun["cell"].source
        on_cell()

    def note_kernel(process: Any) -> None:
        nonlocal kernel
        kernel = process

    try:
        with log.open("ab") as output:
            papermill.execute_notebook(
                lesson,
                copy,
                parameters=dict(parameters),
                engine_name="lesson",
                kernel_name="python3",
                launch={"env": {**os.environ, **env}, "stdout": output, "stderr": STDOUT},
                cell_seconds=cell_seconds,
                on_cell_start=begin_cell,
                on_kernel=note_kernel,
                progress_bar=False,
            )
    except papermill.PapermillExecutionError as error:
        if error.ename == "OSError" and error.evalue.startswith(disk.MESSAGES):
            return Failure(NO_SPACE, f"OSError: {error.evalue}", cell, source)
        return Failure(FAILED, _ANSI.sub("", "\n".join(error.traceback)), cell, source)
    except DeadKernelError:
        how = _describe_end(kernel.poll()) if kernel is not None else "ended"
        return Failure(KERNEL_DIED, f"The kernel {how} in cell {cell}.", cell, source)
    except CellTimeoutError:
        text = (
            f"Cell {cell} took more than {cell_seconds} s, the limit for a cell (--cell-timeout);"
            " its kernel was ended."
        )
        return Failure(TOOK_TOO_LONG, text, cell, source)
    except Exception as error:  # whatever it is, it is this lesson's verdict
        if isinstance(error, OSError) and disk.is_full(error):
            return Failure(NO_SPACE, disk.no_space(Path(error.filename or copy).resolve()))
        kind = FAILED if kernel else NO_KERNEL
        return Failure(kind, f"{type(error).__name__}: {error}", cell, source)
    return None


def _describe_end(code: int | None) -> str:
    if code is None:
        return "ended"
    if code >= 0:
        return f"exited with code {code}"
    text = f"was ended by {signal.Signals(-code).name}"
    if -code == signal.SIGKILL:
        text += ", as the system does when memory runs out,"
    return text
