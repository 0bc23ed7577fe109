"""The runner: verdicts, copies and pages, jobs apart from one another, and nothing left running."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import nbformat
import pytest

from tests.series_lessons import NEVER_ENDS, STARTS, Lessons
from workbench.series.runner import run
from workbench.state_dir import WorkbenchError


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lessons, int, str]:
    """Three lessons that were run in one job, the last of which fails; exit code and output."""
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
            "from workbench.clients import wait_until\n"
            "wait_until(lambda: process.last('agent').log_tail(), what='a line')",
            "assert 1 == 2, 'one is not two'",
            "never = 'reached'",
        ),
    )
    assert err == ""
    return lessons, code, out


def test_every_lesson_has_its_line_and_the_whole_its_verdict(
    finished: tuple[Lessons, int, str],
) -> None:
    lessons, code, out = finished

    assert code == 1
    patterns = [
        re.escape(f"Running 3 lessons; copies and pages go to {lessons.build}"),
        r"✓ 00_first  +\d+\.\d s  passed",
        r"✓ 01_second +\d+\.\d s  passed",
        r"✗ 02_bad    +\d+\.\d s  failed in cell 5",
    ]
    for pattern, line in zip(patterns, out.splitlines(), strict=False):
        assert re.fullmatch(pattern, line)
    assert out.splitlines()[-1].startswith("1 of 3 lessons failed: 02_bad · ")


def test_a_failure_is_shown_with_its_cell_and_the_logs(finished: tuple[Lessons, int, str]) -> None:
    lessons, _, out = finished

    assert "\n  assert 1 == 2, 'one is not two'\n" in out
    assert "AssertionError: one is not two" in out
    assert "The end of agent.log:\n  123045\n" in out
    assert (lessons.build / "logs" / "02_bad" / "agent.log").read_text() == "123045\n"


def test_a_kernel_starts_beside_its_notebook(finished: tuple[Lessons, int, str]) -> None:
    lessons, _, _ = finished

    assert lessons.text("00_first") == f"{lessons.folder}\n"


def test_lessons_of_a_job_share_what_they_start_and_nothing_is_left(
    finished: tuple[Lessons, int, str],
) -> None:
    lessons, _, _ = finished

    assert lessons.text("01_second") == "sleeper\n"
    assert list(lessons.home.iterdir()) == []
    assert lessons.processes() == []


def test_copies_hold_no_path_of_this_machine(finished: tuple[Lessons, int, str]) -> None:
    lessons, _, _ = finished

    assert str(lessons.folder.parent) not in (lessons.build / "01_second.ipynb").read_text()


def test_side_by_side_the_longest_begins_first(lessons: Lessons) -> None:
    short = [lessons.write(f"0{number}_short", "1") for number in (1, 2)]
    long = lessons.write("03_long", "1", "2", "3")
    code, out, _ = lessons.run("--jobs", "2", *short, long)
    assert code == 0, out
    begun = {
        path.stem: nbformat.read(lessons.build / path.name, 4).metadata.papermill.start_time
        for path in (*short, long)
    }
    assert begun["03_long"] < begun["02_short"]


def test_jobs_have_homes_of_their_own_and_run_side_by_side(lessons: Lessons) -> None:
    meet = """\
import os
from pathlib import Path
from workbench.clients import wait_until
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

    code, out, err = lessons.run("-p", "speed", "70", path)

    assert (code, out) == (1, "")
    assert err == "00_first has no parameter 'speed'; it has: rate\n"


def test_what_is_no_notebook_is_refused(lessons: Lessons) -> None:
    path = lessons.folder / "00_first.ipynb"
    path.write_text("{")

    with pytest.raises(WorkbenchError, match=r"00_first\.ipynb is not a notebook: "):
        run([path], build=lessons.build)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(lessons: Lessons, number: signal.Signals) -> None:
    with lessons.start("run", lessons.write("00_first", STARTS, NEVER_ENDS)) as runner:
        lessons.wait_for_sleeper()
        assert len(lessons.processes()) == 3  # the runner, the kernel, the sleeper
        runner.send_signal(number)
        _, err = runner.communicate(timeout=30)

    assert (runner.returncode, err) == (130, "Interrupted; all that was started has ended.\n")
    assert lessons.processes() == []
    assert list(lessons.home.iterdir()) == []


def test_stop_ends_what_a_killed_run_has_left(lessons: Lessons) -> None:
    with lessons.start("run", lessons.write("00_first", STARTS, NEVER_ENDS)) as runner:
        lessons.wait_for_sleeper()
        runner.kill()
    assert lessons.processes() != []

    with lessons.start("stop") as stop:
        out, _ = stop.communicate(timeout=30)

    assert (stop.returncode, out) == (0, "Stopped: sleeper\n")
    assert lessons.processes() == []
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
        assert len(lessons.processes()) == 3  # the command, JupyterLab, a kernel
        lab.send_signal(signal.SIGINT)
        lab.communicate(timeout=30)

    assert lab.returncode == 130
    assert lessons.processes() == []
    assert token not in (lessons.home / "logs" / "jupyterlab.log").read_text()
