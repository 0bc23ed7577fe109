"""What a run is given, looked at before anything runs: notebooks, and values of parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
import papermill

from workbench.state_dir import WorkbenchError


def count_cells(lesson: Path) -> int:
    """How many cells a notebook has. Raises WorkbenchError for what is none."""
    try:
        return len(nbformat.read(lesson, as_version=4).cells)
    except (OSError, ValueError) as error:
        raise WorkbenchError(f"{lesson} is not a notebook: {error}") from error


def check_parameters(lessons: Sequence[Path], parameters: Mapping[str, Any]) -> None:
    """Raise WorkbenchError for a parameter that one of the lessons does not have."""
    if not parameters:
        return
    for lesson in lessons:
        known = papermill.inspect_notebook(lesson)
        for name in parameters:
            if name not in known:
                raise WorkbenchError(
                    f"{lesson.stem} has no parameter {name!r}; it has: {', '.join(known) or 'none'}"
                )
