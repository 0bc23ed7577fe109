"""Child processes: found again by who did not start them, and really gone when they are ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from workbench import home, ports, process
from workbench.clients import wait_until
from workbench.errors import WorkbenchError

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('up', flush=True); time.sleep(60)",
]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    yield tmp_path
    process.stop_recorded()


def start(command: list[str], name: str = "child", **env: str | None) -> process.Running:
    running = process.start(name, command, env=env)
    running.wait_ready(lambda: "up" in running.log_tail())
    return running


def is_dead(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def record(path: Path, name: str = "child") -> Path:
    return path / "processes" / f"{name}.json"


def test_another_kernel_finds_it(own_home: Path) -> None:
    running = process.start("child", SLEEP, env={}, extra={"port": 4711})
    other = subprocess.run(
        [
            sys.executable,
            "-c",
            "from workbench import process; child = process.find('child');"
            "print(child.pid, child.extra['port']); child.stop()",
        ],
        cwd=home.REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.split() == [str(running.pid), "4711"]
    assert not running.alive
    assert process.find("child") is None
    assert process.last("child") == running


def test_stop_lets_it_end_by_itself() -> None:
    polite = [
        sys.executable,
        "-c",
        "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('bye')));"
        "print('up', flush=True); signal.pause()",
    ]
    running = start(polite)
    running.stop()
    assert "bye" in running.log_tail()
    assert not psutil.pid_exists(running.pid)


def test_stop_ends_what_does_not_listen() -> None:
    running = start(STUBBORN)
    running.stop(grace=0.2)
    assert not psutil.pid_exists(running.pid)


def test_kill_leaves_neither_a_zombie_nor_a_grandchild() -> None:
    parent = [
        sys.executable,
        "-c",
        "import subprocess, sys; child = subprocess.Popen(['sleep', '60']);"
        "print(f'up {child.pid}', flush=True); child.wait()",
    ]
    running = start(parent)
    grandchild = int(running.log_tail().split()[-1])
    running.kill()
    assert not psutil.pid_exists(running.pid)
    wait_until(lambda: is_dead(grandchild), what="the grandchild to be gone")
    running.kill()  # nothing happens the second time


def test_a_zombie_is_dead(own_home: Path) -> None:
    # Its parent, which is not this process, does not reap it.
    negligent = (
        "import os, time; child = os.fork(); child or os._exit(0);"
        "print(f'up {child}', flush=True); time.sleep(60)"
    )
    parent = start([sys.executable, "-c", negligent], "parent")
    zombie = int(parent.log_tail().split()[-1])
    wait_until(lambda: is_dead(zombie), what="the child to die")
    fields = json.loads(record(own_home, "parent").read_text())
    fields.update(pid=zombie, create_time=psutil.Process(zombie).create_time())
    record(own_home, "zombie").write_text(json.dumps(fields))
    assert process.find("zombie") is None


def test_the_port_is_free_once_a_process_of_another_kernel_is_stopped() -> None:
    """Its first thread may be gone, and the process a zombie, while another still holds it."""
    serve = (
        "import os, signal, socket, sys, threading;"
        "signal.signal(signal.SIGTERM, lambda *_: os._exit(0));"
        "listener = socket.create_server(('127.0.0.1', int(sys.argv[1])));"
        "wait = threading.Event().wait;"
        "threads = [threading.Thread(target=wait, daemon=True) for _ in range(8)];"
        "[thread.start() for thread in threads];"
        "signal.pause()"
    )
    port = ports.free_port()
    begin = (
        "import sys; from workbench import ports, process;"
        f"running = process.start('child', [sys.executable, '-c', {serve!r}, '{port}'], env={{}});"
        f"running.wait_ready(lambda: not ports.is_free({port}))"
    )
    for _ in range(10):
        subprocess.run([sys.executable, "-c", begin], check=True)
        running = process.find("child")
        assert running is not None
        running.stop()
        assert ports.is_free(port)


def test_a_pid_that_was_given_to_another_is_not_taken_for_it(own_home: Path) -> None:
    running = start(SLEEP)
    fields = json.loads(record(own_home).read_text())
    fields["create_time"] -= 3600
    fields["pid"] = os.getpid()
    record(own_home).write_text(json.dumps(fields))
    assert process.find("child") is None
    assert process.stop_recorded() == []  # it would have been this very process
    running.kill()


@pytest.mark.parametrize("content", ["", "{", '{"pid": 1}', "[]"])
def test_a_damaged_record_is_no_record(own_home: Path, content: str) -> None:
    record(own_home).parent.mkdir()
    record(own_home).write_text(content)
    assert process.find("child") is None


def test_the_keyboard_does_not_reach_it() -> None:
    running = start(SLEEP)
    assert os.getsid(running.pid) == running.pid
    stdin = subprocess.run(
        ["readlink", f"/proc/{running.pid}/fd/0"], capture_output=True, text=True, check=False
    )
    if stdin.returncode == 0:  # Linux
        assert stdin.stdout.strip() == "/dev/null"


def test_the_environment_is_added_to_and_taken_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKEN", "yes")
    # One write, so that whoever waits for the first word has the others too.
    show = "from os import environ; print('up %s %s' % (environ['ADDED'], environ.get('TAKEN')))"
    running = start([sys.executable, "-c", show], ADDED="yes", TAKEN=None)
    assert running.log_tail() == "up yes None"


def test_a_secret_of_the_environment_is_not_on_disk(own_home: Path) -> None:
    first = start(SLEEP, OPENAI_API_KEY="sk-secret")
    for path in own_home.rglob("*"):
        assert path.is_dir() or "sk-secret" not in path.read_text()
    assert first.env_hash == process.hash_env({"OPENAI_API_KEY": "sk-secret"})
    assert first.env_hash != process.hash_env({"OPENAI_API_KEY": "sk-other"})


def test_the_tail_of_the_log_is_that_of_the_latest_start() -> None:
    start([sys.executable, "-c", "print('up: first')"])
    second = start([sys.executable, "-c", "print('up: second')"])
    assert second.log_tail() == "up: second"
    assert Path(second.log).read_text() == "up: first\nup: second\n"
    assert start([sys.executable, "-c", "print(*range(9), 'up', sep='\\n')"]).log_tail(2) == "8\nup"


def test_death_is_reported_at_once_and_with_the_log() -> None:
    running = process.start("child", [sys.executable, "-c", "exit('no disk left')"], env={})
    begun = time.monotonic()
    with pytest.raises(WorkbenchError, match=r"child died while starting.*\n.*\nno disk left"):
        running.wait_ready(lambda: False, timeout=30)
    assert time.monotonic() - begun < 5


def test_a_process_that_is_never_ready_is_reported_with_the_log() -> None:
    running = start(SLEEP)
    with pytest.raises(WorkbenchError, match=r"\(pid \d+\) is not ready after 0.1 s.*\n.*\nup"):
        running.wait_ready(lambda: False, timeout=0.1)


def test_a_command_that_is_not_there() -> None:
    with pytest.raises(WorkbenchError, match="Cannot start child: /no/such/file: No such file"):
        process.start("child", ["/no/such/file"], env={})


def test_everything_of_this_home_is_stopped_the_last_started_first() -> None:
    running = [start(SLEEP, name) for name in ("server", "agent", "model")]
    running[1].kill()
    assert process.stop_recorded() == ["model", "server"]
    assert not any(child.alive for child in running)
    assert process.stop_recorded() == []


def test_one_of_two_kernels_waits_for_the_other() -> None:
    holder = (
        "import time\nfrom workbench.home import exclusive\n"
        "with exclusive('thing'):\n print('up', flush=True)\n time.sleep(0.5)\n"
    )
    other = start([sys.executable, "-c", holder], PYTHONPATH=str(home.REPOSITORY))
    with (
        pytest.raises(WorkbenchError, match=r"starting thing for 0.1 s"),
        home.exclusive("thing", timeout=0.1),
    ):
        pass
    with home.exclusive("thing"):
        assert other.log_tail() == "up"


def test_a_home_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with monkeypatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(tmp_path / "file" / "home"))
        with pytest.raises(WorkbenchError, match="Set WORKBENCH_HOME to a folder"):
            home.home()
