"""A folder of tiny notebooks, and the runner on them, for the tests of the runner."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


class Lessons:
    """A folder with notebooks, and a home for the runner."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "notebooks"
        self.folder.mkdir()
        self.home = folder / "home"
        self.build = folder / "build"

    def write(
        self, name: str, *sources: str, parameters: str | None = None, title: str = ""
    ) -> Path:
        """A notebook with a title and a code cell for each source."""
        cells = [nbformat.v4.new_markdown_cell(title or f"# {name}")]
        if parameters is not None:
            tagged = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
            cells.append(tagged)
        cells += [nbformat.v4.new_code_cell(source) for source in sources]
        path = self.folder / f"{name}.ipynb"
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        book = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
        nbformat.write(book, path)
        return path

    @contextmanager
    def start(self, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
        """Start the command; it is gone when the block is left."""
        with subprocess.Popen(
            [sys.executable, "-m", "workbench.series", *arguments],
            cwd=self.folder.parent,
            env={**os.environ, "WORKBENCH_HOME": str(self.home), "BROWSER": "true"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as command:
            try:
                yield command
            finally:
                command.kill()

    def run(self, *arguments: str | Path) -> tuple[int, str, str]:
        """Run notebooks; exit code, stdout and stderr."""
        with self.start("run", "--build", self.build, *arguments) as runner:
            out, err = runner.communicate(timeout=50)
        return runner.returncode, out, err

    def text(self, name: str) -> str:
        """What the executed copy's cells printed."""
        copy = nbformat.read(self.build / f"{name}.ipynb", as_version=4)
        outputs = [output for cell in copy.cells for output in cell.get("outputs", [])]
        return "".join(output.get("text", "") for output in outputs)

    def wait_for_sleeper(self) -> None:
        """Wait until the process that STARTS starts is recorded."""
        pattern = "run-*/job-*/processes/sleeper.json"
        wait_until(lambda: list(self.home.glob(pattern)), what="a sleeper's record", timeout=30)

    def processes(self) -> list[psutil.Process]:
        """The processes that have to do with the home of these lessons."""
        home = str(self.home)
        return [
            one
            for one in psutil.process_iter(["environ", "status"])
            if home in (one.info["environ"] or {}).get("JUPYTER_RUNTIME_DIR", "")
            or home in (one.info["environ"] or {}).get("WORKBENCH_HOME", "")
            if one.info["status"] != psutil.STATUS_ZOMBIE
        ]
