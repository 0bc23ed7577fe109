"""A folder of tiny notebooks, run as the lessons are, for the tests of that."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import psutil

from workbench.clients import wait_until

# A cell that starts a process as the workbench starts its own, and one that never ends.
STARTS = """\
import sys
from workbench import process
process.start("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"], env={})
"""
NEVER_ENDS = "while True:\n    pass\n"

_RUN = "import sys; from notebooks.__main__ import run; sys.exit(run(sys.argv[1:]))"


class Lessons:
    """A folder with notebooks, a folder for the results, and a home for the run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "notebooks"
        self.folder.mkdir()
        (self.folder / "conftest.py").write_text("from notebooks.conftest import *\n")
        self.home = folder / "home"
        self.build = folder / "build"

    def write(self, name: str, *sources: str, **more: Any) -> Path:
        """A notebook with a title and a code cell for each source; `more` goes to each cell."""
        cells = [nbformat.v4.new_markdown_cell(f"# {name}")]
        cells += [nbformat.v4.new_code_cell(source, **more) for source in sources]
        path = self.folder / f"{name}.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
        return path

    def commit(self, lesson: Path, *printed: str) -> None:
        """Give the first code cells the outputs that are committed; a time in them may vary."""
        book = nbformat.read(lesson, as_version=4)
        code = [cell for cell in book.cells if cell.cell_type == "code"]
        for count, (cell, text) in enumerate(zip(code, printed, strict=False), 1):
            cell.execution_count = count
            cell.outputs = [nbformat.v4.new_output("stream", text=text)]
            if text.endswith(" ms\n"):
                cell.metadata["tags"] = [r"varies: /\d+ ms/"]
        nbformat.write(book, lesson)

    @contextmanager
    def start(self, *arguments: str | Path, **env: str) -> Iterator[subprocess.Popen[str]]:
        """Start a run; it is gone when the block is left."""
        results = (f"--build={self.build}", f"--junitxml={self.build / 'junit.xml'}")
        with subprocess.Popen(
            [sys.executable, "-c", _RUN, *results, *arguments],
            env={**os.environ, "WORKBENCH_HOME": str(self.home), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="latin-1" if env.get("PYTHONIOENCODING") else "utf-8",
        ) as command:
            try:
                yield command
            finally:
                command.kill()

    def run(self, *arguments: str | Path, **env: str) -> tuple[int, str]:
        """Run notebooks; the exit code, and what was printed."""
        with self.start(*arguments, **env) as command:
            out, _ = command.communicate(timeout=100)
        return command.returncode, out

    def stop(self) -> str:
        """Run `tutorial stop`; what it says."""
        return subprocess.run(
            [sys.executable, "-m", "workbench.jupyterlab", "stop"],
            env={**os.environ, "WORKBENCH_HOME": str(self.home)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def text(self, name: str) -> str:
        """What the executed copy's cells printed."""
        copy = nbformat.read(self.build / f"{name}.ipynb", as_version=4)
        outputs = [output for cell in copy.cells for output in cell.get("outputs", [])]
        return "".join(output.get("text", "") for output in outputs)

    def wait_for_sleeper(self) -> None:
        """Wait until the process that STARTS starts is recorded."""
        pattern = "run-*/job-*/processes/sleeper.json"
        wait_until(lambda: list(self.home.glob(pattern)), what="a sleeper's record", timeout=60)

    def processes(self) -> list[psutil.Process]:
        """The processes that have to do with the home of these lessons."""
        return [
            one
            for one in psutil.process_iter(["environ", "status"])
            if str(self.home) in str(one.info["environ"])
            if one.info["status"] != psutil.STATUS_ZOMBIE
        ]
