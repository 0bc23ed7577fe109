"""Executes one lesson with papermill, in a fresh kernel, and says what went wrong."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import STDOUT
from typing import Any

import papermill
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines

CELL_SECONDS = 60
"""How long one cell may take."""

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Failure:
    """Where a lesson failed, and how."""

    cell: int = 0
    """The cell's place among all of the notebook's cells, from 1; 0 is before the first."""
    source: str = ""
    error: str = ""


class _Engine(NBClientEngine):  # type: ignore[misc]  # papermill has no types
    """papermill's own engine, except that it can be said how the kernel is started.

    Jobs are threads of one process, so the process's environment will not do for their kernels.
    """

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        *,
        launch: dict[str, Any],
        on_cell_start: Callable[..., None],
        **_: Any,
    ) -> None:
        client = PapermillNotebookClient(
            nb_man, kernel_name=kernel_name, timeout=CELL_SECONDS, on_cell_start=on_cell_start
        )
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
) -> Failure | None:
    """Execute `lesson` in the current folder and write it, as far as it got, to `copy`.

    `env` is added to this process's environment for the kernel; `log` takes what the kernel itself
    has to say, and `on_cell` is called as each cell begins: what it raises ends the lesson.
    """
    failure = Failure()

    def begin_cell(cell: Any, cell_index: int) -> None:
        failure.cell, failure.source = cell_index + 1, cell.source
        on_cell()

    try:
        with log.open("ab") as output:
            papermill.execute_notebook(
                lesson,
                copy,
                parameters=dict(parameters),
                engine_name="lesson",
                kernel_name="python3",
                launch={"env": {**os.environ, **env}, "stdout": output, "stderr": STDOUT},
                on_cell_start=begin_cell,
                progress_bar=False,
            )
    except papermill.PapermillExecutionError as error:
        failure.error = _ANSI.sub("", "\n".join(error.traceback))
    except Exception as error:  # whatever it is, it is this lesson's verdict: a time limit, say
        failure.error = f"{type(error).__name__}: {error}"
    return failure if failure.error else None
