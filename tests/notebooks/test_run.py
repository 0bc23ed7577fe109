"""A run of lessons: its lines and files, how it fails, and that it leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notebooks.lessons import NEVER_ENDS, STARTS, Lessons

pytestmark = pytest.mark.timeout(120)  # five lessons are run in the first one's time

# Python's fault handler has its say in the kernel's log.
CRASHES = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)"

FINDS = "from workbench import process; print(process.find('sleeper'))"

# The kernel goes; what it has started stays.
LEAVES = """\
import subprocess, sys
command = [sys.executable, "-c", "import time; time.sleep(600)"]
print(subprocess.Popen(command, start_new_session=True).pid)
"""

# It varies, and the lesson says so.
NUMBER = "import random\nprint(random.randrange(10**9), 'ms')"


@pytest.fixture
def lessons(tmp_path: Path) -> Iterator[Lessons]:
    lessons = Lessons(tmp_path)
    yield lessons
    if lessons.processes():  # a test has failed
        lessons.stop()


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lessons, str]:
    """Lessons that were run in one job, most of which fail, and what was printed."""
    lessons = Lessons(tmp_path_factory.mktemp("failed"))
    code, out = lessons.run(
        *("--no-compare", "--jobs=1", "--cell-timeout=5"),
        lessons.write("00_passes", "import os; print(os.getcwd())", STARTS),
        lessons.write("01_raises", "assert 1 == 2, 'one is not two'", "never = 'reached'"),
        lessons.write("02_crashes", CRASHES),
        lessons.write("03_hangs", NEVER_ENDS),
        lessons.write("04_leaves", FINDS, LEAVES),
        GITHUB_ACTIONS="true",
    )
    assert code == 1, out
    return lessons, out


def test_every_lesson_has_its_line(failed: tuple[Lessons, str]) -> None:
    lines = re.findall(r"^([✓✗]) (\w+) +\d+\.\d s  (.*)$", failed[1], re.MULTILINE)
    assert sorted(lines, key=lambda line: line[1]) == [
        ("✓", "00_passes", "passed"),
        ("✗", "01_raises", "failed in cell 2"),
        ("✗", "02_crashes", "kernel died in cell 2"),
        ("✗", "03_hangs", "took too long in cell 2"),
        ("✗", "04_leaves", "left processes running"),
    ]
    assert re.search(r"^Restate not started · SDK [\d.]+ · Python 3\.\d+\.\d+$", failed[1], re.M)
    assert "4 of 5 lessons failed: 01_raises, 02_crashes, 03_hangs, 04_leaves" in failed[1]


def _told(out: str, where: str) -> str:
    """What is told of a failure below its headline."""
    found = re.search(rf"^_+ {where} _+\n(.*?)(?=^___|\Z)", out, re.MULTILINE | re.DOTALL)
    assert found is not None, out
    return found[1]


def test_a_failure_is_shown_with_its_cell_and_cause(failed: tuple[Lessons, str]) -> None:
    lessons, out = failed
    assert "  assert 1 == 2, 'one is not two'\n" in _told(out, "01_raises, cell 2")
    assert "AssertionError: one is not two" in _told(out, "01_raises, cell 2")
    crash = _told(out, "02_crashes, cell 2")
    assert "The kernel was ended by SIGSEGV." in crash
    assert "The end of kernel-02_crashes.log:\n" in crash
    kept = lessons.build / "logs" / "02_crashes" / "kernel-02_crashes.log"
    assert kept.read_text().startswith("Fatal Python error: Segmentation fault")
    assert "It took more than 5 s, the limit for a cell" in _told(out, "03_hangs, cell 2")
    left = _told(out, "04_leaves, the lesson as a whole")
    pid = lessons.text("04_leaves").split()[-1]
    assert re.search(rf"  pid {pid}: \S+ -c 'import time; time.sleep\(600\)'", left)


def test_a_failing_cell_is_annotated(failed: tuple[Lessons, str]) -> None:
    lines = [line for line in failed[1].splitlines() if line.startswith("::error ")]
    assert len(lines) == 4
    assert re.match(
        r"::error file=\S+/01_raises.ipynb,title=01 cell 2::failed: Asserti.*: one is not two",
        lines[0],
    )


def test_lessons_of_a_job_share_what_they_start_and_nothing_is_left(
    failed: tuple[Lessons, str],
) -> None:
    lessons, _ = failed
    assert lessons.text("00_passes") == f"{lessons.folder}\n"
    assert "name='sleeper'" in lessons.text("04_leaves")
    assert lessons.processes() == []
    assert list(lessons.home.iterdir()) == []


def test_the_junit_file_has_a_case_for_each_cell(failed: tuple[Lessons, str]) -> None:
    report = ET.parse(failed[0].build / "junit.xml")
    cases = {
        (c.attrib["classname"].split(".")[-2], c.attrib["name"]): c for c in report.iter("testcase")
    }
    raised = cases["01_raises", "cell 2: assert 1 == 2, 'one is not two'"]
    assert raised.find("failure") is not None
    assert float(raised.attrib["time"]) > 0
    assert cases["01_raises", "cell 3: never = 'reached'"].find("skipped") is not None
    assert list(cases["00_passes", "the lesson as a whole"]) == []
    assert {"Restate", "SDK", "Python"} <= {each.attrib["name"] for each in report.iter("property")}


def test_pages_lead_to_what_was_run(failed: tuple[Lessons, str]) -> None:
    build = failed[0].build
    index = (build / "index.html").read_text()
    assert '<a href="03_hangs.html">03_hangs</a><td>took too long in cell 2<td>' in index
    assert re.search(r"Restate not started · SDK [\d.]+ · Python 3", index)
    assert "one is not two" in (build / "01_raises.html").read_text()


def test_an_interrupted_run_leaves_nothing(lessons: Lessons) -> None:
    with lessons.start("--no-compare", lessons.write("00_first", STARTS, NEVER_ENDS)) as run:
        lessons.wait_for_sleeper()
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=30)

    assert run.returncode == 130
    assert lessons.processes() == []
    assert list(lessons.home.iterdir()) == []


def test_stop_ends_what_a_killed_run_has_left(lessons: Lessons) -> None:
    with lessons.start("--no-compare", lessons.write("00_first", STARTS, NEVER_ENDS)) as run:
        lessons.wait_for_sleeper()
        run.kill()
    assert lessons.processes() != []

    assert lessons.stop() == "Stopped: sleeper\n"
    assert lessons.processes() == []
    assert list(lessons.home.iterdir()) == []
    assert lessons.stop() == "Nothing was running.\n"


def test_one_changed_word_is_found_and_mended_byte_for_byte(lessons: Lessons) -> None:
    lesson = lessons.write("07_try_it", "print('it is', 'over')", NUMBER)
    lessons.commit(lesson, "it is over\n", "1204 ms\n")
    whole = lesson.read_bytes()
    lesson.write_bytes(whole.replace(b"it is over", b"it was over"))

    code, out = lessons.run(lesson)
    assert code == 1
    assert "✗ 07_try_it" in out
    assert "differs in cell 2" in out
    assert "- it was over\n+ it is over\n" in out
    assert "./scripts/check --update 07_try_it" in out

    fails = lessons.write("08_fails", "print('one')", "1 / 0")
    before = fails.read_bytes()
    code, out = lessons.run("--update", lesson, fails)
    assert code == 1
    assert "ZeroDivisionError" in out
    assert fails.read_bytes() == before
    assert "Wrote the outputs of 1 cell into the lessons; git diff shows" in out
    assert lesson.read_bytes() == whole


def test_jobs_run_side_by_side_without_a_provider_and_with_ports_of_their_own(
    lessons: Lessons,
) -> None:
    meet = """\
import os
from pathlib import Path
from workbench.clients import wait_until
Path(mine).touch()
wait_until(Path(other).exists, what="the other lesson", timeout=30)
names = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "RESTATE_ADMIN_PORT")
print(os.environ["WORKBENCH_HOME"], [name for name in names if name in os.environ])
"""
    first = lessons.write("00_first", NUMBER, f"mine, other = 'a', 'b'\n{meet}")
    second = lessons.write("01_second", f"mine, other = 'b', 'a'\n{meet}")
    lessons.commit(first, "1204 ms\n")
    code, out = lessons.run(
        *("--update", "--everything", "--jobs=2", first, second),
        OPENAI_API_KEY="sk-secret",
        RESTATE_ADMIN_PORT="9070",
        PYTHONIOENCODING="latin-1",
        FORCE_COLOR="1",
    )
    assert code == 0, out
    assert "Not used: OPENAI_API_KEY. A check runs on the scripted model.\n" in out
    assert "? 00_first" in re.sub("\x1b.*?m", "", out)  # the terminal has no sign for it
    homes = [lessons.text(name).splitlines()[-1] for name in ("00_first", "01_second")]
    assert homes[0] != homes[1]
    assert all(home.endswith(" []") for home in homes)
    assert b"1204 ms" not in first.read_bytes()  # everything is written, also what may vary


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_named(lessons: Lessons) -> None:
    lessons.build.mkdir()
    fills = "import errno, os\nraise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))"
    raises = lessons.write("00_raises", fills)
    other = lessons.write("01_other", "1")
    (lessons.build / "01_other.html").symlink_to("/dev/full")
    (lessons.build / "junit.xml").symlink_to("/dev/full")
    code, out = lessons.run("--no-compare", raises, other)
    assert code == 1
    assert "no space left in cell 2" in out
    page, junit = lessons.build / "01_other.html", lessons.build / "junit.xml"
    for file in (page, junit):
        assert f"No space left on the disk: {file} could not be written. Free some" in out
    assert "Traceback (most recent call last)" not in out.replace(fills, "").split("01_other, ")[-1]


def test_what_is_not_a_notebook_is_refused(lessons: Lessons) -> None:
    path = lessons.write("00_first", "1")
    path.write_text("{")
    code, out = lessons.run(path)
    assert code == 1
    assert f"{path} is not a notebook: " in out
    assert "Running" not in out


def test_a_check_of_everything_finds_lessons_rules_and_exercises(tmp_path: Path) -> None:
    code = "import sys; from notebooks.__main__ import parse, run; print(run([*parse(sys.argv[1:]),"
    arguments = ["check", "--build", str(tmp_path)]
    said = subprocess.run(
        [sys.executable, "-c", f"{code} '--collect-only']))", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "WORKBENCH_HOME": str(tmp_path)},
    ).stdout
    assert said.endswith("\n0\n"), said
    for found in ("test_form.py::", "test_exercises.py::", "00_start.ipynb::cell 2"):
        assert found in said
