"""How a lesson can fail besides by its own code: each way is named, and leaves nothing running."""

from __future__ import annotations

import re

import pytest

from tests.series_lessons import NEVER_ENDS, STARTS, Lessons

# Python's fault handler has its say in the kernel's log.
SEGFAULT = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)"

# The kernel goes; what it has started stays.
LEAVES = """\
import subprocess, sys
command = [sys.executable, "-c", "import time; time.sleep(600)"]
child = subprocess.Popen(command, start_new_session=True)
print(child.pid)
"""

# A process that is taken for the server's, except that it never answers.
NEVER_READY = """\
import sys
from workbench import process
process.Running.wait_ready.__kwdefaults__["timeout"] = 0.2
says = "print('no leader yet', flush=True); import time; time.sleep(600)"
ports = {"ingress": 1, "admin": 2, "node": 3}
process.start("restate", [sys.executable, "-c", says], env={}, extra=ports)
"""


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lessons, str]:
    """Lessons that were run in one job, and the output."""
    lessons = Lessons(tmp_path_factory.mktemp("failures"))
    code, out, err = lessons.run(
        *("--cell-timeout", "3"),
        lessons.write("00_exits", "import os", "os._exit(3)"),
        lessons.write("01_crashes", SEGFAULT),
        lessons.write("02_hangs", NEVER_ENDS, "never = 'reached'"),
        lessons.write("03_leaves", LEAVES),
        lessons.write(
            "04_waits",
            NEVER_READY,
            "import workbench as wb\n"
            "from workbench.clients import wait_until\n"
            "wait_until(lambda: process.find('restate').log_tail(), what='its words')\n"
            "wb.start_restate('embedded')",
        ),
        lessons.write("05_passes", "1"),
    )
    assert (code, err) == (1, "")
    return lessons, out


def _told(out: str, name: str) -> str:
    """What is told of a lesson below the lines of all."""
    found = re.search(
        rf"^─+ {name}(?:, cell \d+)? ─+\n(.*?)(?=^─|\Z)", out, re.MULTILINE | re.DOTALL
    )
    assert found is not None, out
    return found[1]


def _line(out: str, name: str) -> str:
    return next(line for line in out.splitlines() if f" {name} " in line)


def test_a_kernel_that_exits(failed: tuple[Lessons, str]) -> None:
    _, out = failed

    assert _line(out, "00_exits").endswith("  kernel died in cell 3")
    assert _told(out, "00_exits").startswith(
        "  os._exit(3)\nThe kernel exited with code 3 in cell 3.\n"
    )


def test_a_kernel_that_crashes_is_shown_with_its_log(failed: tuple[Lessons, str]) -> None:
    lessons, out = failed

    told = _told(out, "01_crashes")
    assert "\nThe kernel was ended by SIGSEGV in cell 2.\n" in told
    assert "The end of kernel-01_crashes.log:\n" in told
    kept = lessons.build / "logs" / "01_crashes" / "kernel-01_crashes.log"
    assert kept.read_text().startswith("Fatal Python error: Segmentation fault")


def test_a_cell_has_a_time_limit(failed: tuple[Lessons, str]) -> None:
    _, out = failed

    assert _line(out, "02_hangs").endswith("  took too long in cell 2")
    told = _told(out, "02_hangs")
    assert "\nCell 2 took more than 3 s, the limit for a cell (--cell-timeout); its kernel" in told


def test_a_process_that_outlives_its_lesson_is_named_and_ended(
    failed: tuple[Lessons, str],
) -> None:
    lessons, out = failed

    assert _line(out, "03_leaves").endswith("  left processes running")
    pid = lessons.text("03_leaves").strip()
    told = _told(out, "03_leaves")
    assert "Still running after the lesson's kernel had ended, now ended too:\n" in told
    assert re.search(rf"^  pid {pid}: \S+ -c 'import time; time.sleep\(600\)'$", told, re.MULTILINE)


def test_a_server_that_is_never_ready(failed: tuple[Lessons, str]) -> None:
    lessons, out = failed

    assert _line(out, "04_waits").endswith("  failed in cell 3")
    told = _told(out, "04_waits")
    assert re.search(r"WorkbenchError: restate \(pid \d+\) is not ready after 0\.2 s\. ", told)
    assert re.search(r"The end of \S+/logs/restate\.log:\nno leader yet\n", told)
    assert (lessons.build / "logs" / "04_waits" / "restate.log").read_text() == "no leader yet\n"


def test_the_next_lesson_runs_and_nothing_is_left(failed: tuple[Lessons, str]) -> None:
    lessons, out = failed

    assert "✓ 05_passes" in out
    assert out.splitlines()[-1].startswith("5 of 6 lessons failed: 00_exits, 01_crashes, ")
    assert not (lessons.build / "logs" / "05_passes").exists()
    assert lessons.processes() == []
    assert list(lessons.home.iterdir()) == []


def test_a_process_that_the_workbench_has_started_is_no_leftover(lessons: Lessons) -> None:
    code, out, _ = lessons.run(lessons.write("00_first", STARTS))

    assert code == 0, out
    assert lessons.processes() == []
