"""A disk that is full: the run says what could not be written, without a traceback."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.series_lessons import Lessons
from workbench.series.disk import make_folder, write_text
from workbench.series.lesson import execute
from workbench.series.outcome import NO_SPACE
from workbench.state_dir import WorkbenchError

_AS_ROOT_OF_OWN = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")


def _can_mount() -> bool:
    try:
        command = [*_AS_ROOT_OF_OWN, "mount -t tmpfs none /tmp"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


can_mount = pytest.mark.skipif(not _can_mount(), reason="a small disk cannot be mounted here")


def _run_on_small_disk(
    lessons: Lessons, folder: Path, kilobytes: int, *notebooks: Path
) -> tuple[int, str, str]:
    """Run notebooks with a small disk at `folder`, which goes when the run ends."""
    folder.mkdir()
    done = subprocess.run(
        [
            *_AS_ROOT_OF_OWN,
            f'mount -t tmpfs -o size={kilobytes}k none "$0" && exec "$@"',
            *(folder, sys.executable, "-m", "workbench.series", "run", "--build", lessons.build),
            *notebooks,
        ],
        env={**os.environ, "WORKBENCH_HOME": str(lessons.home)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@can_mount
def test_a_folder_of_results_that_has_no_room(lessons: Lessons) -> None:
    short = lessons.write("00_short", "print('short')")
    long = lessons.write("01_long", "print('long' * 100_000)")

    code, out, err = _run_on_small_disk(lessons, lessons.build, 16, short, long)

    assert code == 1
    assert "✓ 00_short" in out
    assert re.search(r"^✗ 01_long .* no space left$", out, re.MULTILINE)
    copy = lessons.build / "01_long.ipynb"
    assert f"\nNo space left on the disk: {copy} could not be written. Free some" in out
    for name in ("00_short.html", "01_long.html", "index.html"):
        assert f"No space left on the disk: {lessons.build / name} could not be written." in err
    assert "Traceback" not in out + err
    assert lessons.processes() == []


@can_mount
def test_a_home_that_has_no_room(lessons: Lessons) -> None:
    fills = "import os\nfrom pathlib import Path\nhome = Path(os.environ['WORKBENCH_HOME'])\n"
    path = lessons.write("00_first", f"{fills}(home / 'data').write_bytes(bytes(10_000_000))")

    code, out, err = _run_on_small_disk(lessons, lessons.home, 3000, path)

    assert code == 1
    assert "  no space left in cell 2" in out
    assert "OSError: [Errno 28] No space left on device" in out
    assert f"No space left on the disk of {lessons.home}/run-" in out
    assert "Traceback" not in out + err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_copy_that_cannot_be_written(
    lessons: Lessons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lessons.folder)
    (lessons.folder / "copy.ipynb").symlink_to("/dev/full")
    path = lessons.write("00_first", "1")

    failure = execute(
        Path(path.name),
        Path("copy.ipynb"),
        env={"IPYTHONDIR": str(tmp_path / "ipython")},
        log=tmp_path / "kernel.log",
        parameters={},
        on_cell=lambda: None,
    )

    assert failure is not None
    assert (failure.kind, failure.cell) == (NO_SPACE, 0)
    assert "No space left on the disk: " in failure.error


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_file_is_whole_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    file = tmp_path / "index.html"
    write_text(file, "before")

    def fail(self: Path, *_: object, **__: object) -> None:
        self.touch()
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(WorkbenchError, match=rf"No space left on the disk: {file} could not be"):
        write_text(file, "after")

    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(WorkbenchError, match=r"file/build could not be written: Not a directory\."):
        make_folder(tmp_path / "file" / "build")
