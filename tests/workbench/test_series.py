"""The runner: verdicts, copies and pages, jobs apart from one another, and nothing left running."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import nbformat
import psutil
import pytest
from workbench.series.page import write_page

from workbench.errors import WorkbenchError
from workbench.series import lesson
from workbench.series.runner import run
from workbench.waiting import wait_until

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

    def write(self, name: str, *sources: str, parameters: str | None = None) -> Path:
        """A notebook with a title, a diagram and a code cell for each source."""
        title = f"# {name}\n\n```mermaid\nflowchart LR\n  lesson --> page\n```\n"
        cells = [nbformat.v4.new_markdown_cell(title)]
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


@pytest.fixture
def lessons(tmp_path: Path) -> Iterator[Lessons]:
    lessons = Lessons(tmp_path)
    yield lessons
    with lessons.start("stop") as stop:  # where a test has failed
        stop.communicate(timeout=30)


def _of(lessons: Lessons) -> list[psutil.Process]:
    """The processes that have to do with the home of these lessons."""
    home = str(lessons.home)
    return [
        one
        for one in psutil.process_iter(["environ", "status"])
        if home in (one.info["environ"] or {}).get("JUPYTER_RUNTIME_DIR", "")
        or home == (one.info["environ"] or {}).get("WORKBENCH_HOME")
        if one.info["status"] != psutil.STATUS_ZOMBIE
    ]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lessons, int, str]:
    """Four lessons that were run, in one job: two pass, two fail; the exit code and the output."""
    lessons = Lessons(tmp_path_factory.mktemp("finished"))
    code, out, err = lessons.run(
        lessons.write("00_first", "import os; print(os.getcwd())", STARTS),
        lessons.write(
            "01_second", "from workbench import process; print(process.find('sleeper').name)"
        ),
        lessons.write(
            "02_bad",
            "import sys; from workbench import process",
            "process.start('agent', [sys.executable, '-c', 'print(123 * 1000 + 45)'], env={})",
            "from workbench.waiting import wait_until\n"
            "wait_until(lambda: process.last('agent').log_tail(), what='a line')",
            "assert 1 == 2, 'one is not two'",
            "never = 'reached'",
        ),
        lessons.write("03_dies", "import os", "os._exit(3)"),
    )
    assert err == ""
    return lessons, code, out


def test_every_lesson_has_its_line_and_the_whole_its_verdict(
    finished: tuple[Lessons, int, str],
) -> None:
    lessons, code, out = finished

    assert code == 1
    patterns = [
        re.escape(f"Running 4 lessons; copies and pages go to {lessons.build}"),
        r"✓ 00_first  +\d+\.\d s  passed",
        r"✓ 01_second +\d+\.\d s  passed",
        r"✗ 02_bad    +\d+\.\d s  failed in cell 5",
        r"✗ 03_dies   +\d+\.\d s  failed in cell 3",
    ]
    for pattern, line in zip(patterns, out.splitlines(), strict=False):
        assert re.fullmatch(pattern, line)
    assert out.splitlines()[-1].startswith("2 of 4 lessons failed: 02_bad, 03_dies · ")


def test_a_failure_is_shown_with_its_cell_and_the_logs(finished: tuple[Lessons, int, str]) -> None:
    lessons, _, out = finished

    assert "\n  assert 1 == 2, 'one is not two'\n" in out
    assert "AssertionError: one is not two" in out
    assert "The end of agent.log:\n  123045\n" in out
    assert "\n  os._exit(3)\nDeadKernelError: Kernel died" in out
    assert "one is not two" in (lessons.build / "02_bad.html").read_text()


def test_a_kernel_starts_beside_its_notebook(finished: tuple[Lessons, int, str]) -> None:
    lessons, _, _ = finished

    assert lessons.text("00_first") == f"{lessons.folder}\n"


def test_lessons_of_a_job_share_what_they_start_and_nothing_is_left(
    finished: tuple[Lessons, int, str],
) -> None:
    lessons, _, _ = finished

    assert lessons.text("01_second") == "sleeper\n"
    assert list(lessons.home.iterdir()) == []
    assert _of(lessons) == []


def test_pages_need_no_network(finished: tuple[Lessons, int, str]) -> None:
    page = (finished[0].build / "01_second.html").read_text()

    assert "sleeper" in page
    assert page.count('<img alt="diagram" src="data:image/svg+xml;') == 1
    assert "mermaid" not in page
    assert "<script" not in page
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)


def test_pages_link_to_pages(tmp_path: Path) -> None:
    notebook = tmp_path / "00_first.ipynb"
    cell = nbformat.v4.new_markdown_cell("[next](01_second.ipynb), [other](notes.ipynb)")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), notebook)

    page = write_page(notebook).read_text()

    assert 'href="01_second.html"' in page
    assert 'href="notes.ipynb"' in page


def test_copies_hold_no_path_of_this_machine(finished: tuple[Lessons, int, str]) -> None:
    lessons, _, _ = finished

    assert str(lessons.folder.parent) not in (lessons.build / "01_second.ipynb").read_text()


def test_a_diagram_that_cannot_be_drawn_is_an_error(lessons: Lessons) -> None:
    path = lessons.write("00_first")
    path.write_text(path.read_text().replace("flowchart LR", "flowchart of all"))

    with pytest.raises(WorkbenchError, match=r"A diagram in 00_first\.ipynb cannot be drawn: "):
        write_page(path)


def test_a_cell_has_a_time_limit(
    lessons: Lessons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lesson, "CELL_SECONDS", 1)
    monkeypatch.chdir(lessons.folder)
    path = lessons.write("00_hangs", NEVER_ENDS)

    failure = lesson.execute(
        Path(path.name),
        Path("copy.ipynb"),
        env={"IPYTHONDIR": str(tmp_path / "ipython")},
        log=tmp_path / "kernel.log",
        parameters={},
        on_cell=lambda: None,
    )

    assert failure is not None
    assert failure.cell == 2
    assert failure.source == NEVER_ENDS
    assert "timed out while it was being executed, after 1 seconds" in failure.error


def test_jobs_have_homes_of_their_own_and_run_side_by_side(lessons: Lessons) -> None:
    meet = """\
import os
from pathlib import Path
from workbench.waiting import wait_until
Path(mine).touch()
wait_until(Path(other).exists, what="the other lesson", timeout=30)
print(os.environ["WORKBENCH_HOME"], rate + 1)
"""
    first = lessons.write("00_first", "mine, other = 'a', 'b'", meet, parameters="rate = 5")
    second = lessons.write("01_second", "mine, other = 'b', 'a'", meet, parameters="rate = 5")

    code, out, _ = lessons.run("--jobs", "2", "-p", "rate", "70", first, second)

    assert code == 0, out
    (home, rate), (other_home, _) = (
        lessons.text("00_first").split(),
        lessons.text("01_second").split(),
    )
    assert home != other_home
    assert rate == "71"


def test_a_parameter_that_a_lesson_does_not_have_is_refused(lessons: Lessons) -> None:
    path = lessons.write("00_first", "print(rate)", parameters="rate = 5")

    with pytest.raises(WorkbenchError, match="00_first has no parameter 'speed'; it has: rate"):
        run([path], build=lessons.build, parameters={"speed": 70})


def test_what_is_no_notebook_is_refused(lessons: Lessons) -> None:
    path = lessons.folder / "00_first.ipynb"
    path.write_text("{")

    with pytest.raises(WorkbenchError, match=r"00_first\.ipynb is not a notebook: "):
        run([path], build=lessons.build)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(lessons: Lessons, number: signal.Signals) -> None:
    with lessons.start("run", lessons.write("00_first", STARTS, NEVER_ENDS)) as runner:
        lessons.wait_for_sleeper()
        assert len(_of(lessons)) == 3  # the runner, the kernel, the sleeper
        runner.send_signal(number)
        _, err = runner.communicate(timeout=30)

    assert (runner.returncode, err) == (130, "Interrupted; all that was started has ended.\n")
    assert _of(lessons) == []
    assert list(lessons.home.iterdir()) == []


def test_stop_ends_what_a_killed_run_has_left(lessons: Lessons) -> None:
    with lessons.start("run", lessons.write("00_first", STARTS, NEVER_ENDS)) as runner:
        lessons.wait_for_sleeper()
        runner.kill()
    assert _of(lessons) != []

    with lessons.start("stop") as stop:
        out, _ = stop.communicate(timeout=30)

    assert (stop.returncode, out) == (0, "Stopped: sleeper\n")
    assert _of(lessons) == []
    assert list(lessons.home.iterdir()) == []


@pytest.mark.parametrize("folder", ["test-1/pytest/home", "benchmark-1", "stress-1"])
def test_stop_ends_what_a_killed_check_has_left(lessons: Lessons, folder: str) -> None:
    inner = lessons.home / folder
    inner.mkdir(parents=True)
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(command, env={**os.environ, "WORKBENCH_HOME": str(inner)}) as sleeper:
        with lessons.start("stop") as stop:
            out, _ = stop.communicate(timeout=30)
        assert sleeper.wait(timeout=10) == -signal.SIGKILL

    assert out == f"Stopped: {Path(sys.executable).name}\n"
    assert list(lessons.home.iterdir()) == []


def test_stop_with_nothing_to_stop(lessons: Lessons) -> None:
    with lessons.start("stop") as stop:
        out, _ = stop.communicate(timeout=30)

    assert (stop.returncode, out) == (0, "Nothing was running.\n")


def test_jupyterlab_opens_at_the_lesson_and_ends_with_its_kernels(lessons: Lessons) -> None:
    path = lessons.write("00_first", "1")
    with lessons.start("lab", lessons.folder.parent, path) as lab:
        assert lab.stdout is not None
        line = lab.stdout.readline()
        found = re.fullmatch(r"JupyterLab: (http://127\.0\.0\.1:\d+)(/.*)\?token=(\w+)\n", line)
        assert found is not None, line
        url, page, token = found.groups()
        assert page == "/lab/tree/notebooks/00_first.ipynb"
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            assert client.get(page, follow_redirects=False).status_code == 302  # to the log-in
            client.headers["Authorization"] = f"token {token}"
            assert client.get(page).status_code == 200
            assert client.post("/api/kernels", json={"name": "python3"}).status_code == 201
        with lessons.start("lab", lessons.folder.parent, path) as again:
            said, _ = again.communicate(timeout=30)
        assert said == f"JupyterLab is open already: {url}{page}?token={token}\n"
        assert len(_of(lessons)) == 3  # the command, JupyterLab, a kernel
        lab.send_signal(signal.SIGINT)
        lab.communicate(timeout=30)

    assert lab.returncode == 130
    assert _of(lessons) == []
    assert token not in (lessons.home / "logs" / "jupyterlab.log").read_text()
