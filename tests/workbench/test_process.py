"""Child processes: found again by who did not start them, and really gone when they are ended."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from workbench import loopback, process
from workbench.clients import wait_until
from workbench.state_dir import REPOSITORY, WorkbenchError, exclusive, state_dir

Kernel = Callable[[str], tuple[str, str]]
SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
POLITE, STUBBORN, PARENT, NEGLIGENT = (
    [sys.executable, "-c", code]
    for code in (
        "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('bye')));"
        "print('up', flush=True); signal.pause()",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('up', flush=True); time.sleep(60)",
        "import subprocess; child = subprocess.Popen(['sleep', '60']);"
        "print(f'up {child.pid}', flush=True); child.wait()",
        # A parent that leaves a zombie.
        "import os, time; child = os.fork(); child or os._exit(0);"
        "print(f'up {child}', flush=True); time.sleep(60)",
    )
)


@pytest.fixture(autouse=True)
def own_state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
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


def rewrite_record(name: str, **fields: object) -> None:
    path = state_dir() / "processes" / f"{name}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_another_kernel_finds_it(another_kernel: Kernel) -> None:
    running = process.start("child", SLEEP, env={}, extra={"port": 4711})
    said, _ = another_kernel(
        "from workbench import process; child = process.find('child');"
        "print(child.pid, child.extra['port']); child.stop()"
    )
    assert said.split() == [str(running.pid), "4711"]
    assert not running.alive
    assert process.find("child") is None
    assert process.last("child") == running


def test_stop_asks_and_then_makes_it_end() -> None:
    polite = start(POLITE)
    polite.stop()
    assert "bye" in polite.log_tail()
    stubborn = start(STUBBORN)
    stubborn.stop(grace=0.2)
    assert not psutil.pid_exists(polite.pid)
    assert not psutil.pid_exists(stubborn.pid)


def test_kill_leaves_neither_a_zombie_nor_a_grandchild() -> None:
    running = start(PARENT)
    grandchild = int(running.log_tail().split()[-1])
    running.kill()
    assert not psutil.pid_exists(running.pid)
    wait_until(lambda: is_dead(grandchild), what="the grandchild to be gone")
    running.kill()  # nothing happens the second time


def test_a_zombie_is_dead() -> None:
    parent = start(NEGLIGENT)
    zombie = int(parent.log_tail().split()[-1])
    wait_until(lambda: is_dead(zombie), what="the child to die")
    rewrite_record("child", pid=zombie, identity=process._identity(zombie))
    assert process.find("child") is None
    parent.kill()


def test_the_port_is_free_once_a_process_of_another_kernel_is_stopped(
    another_kernel: Kernel,
) -> None:
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
    another_kernel(
        "import sys; from workbench import loopback, process\n"
        "for name in 'abcd':\n"
        "    port = loopback.free_port()\n"
        f"    command = [sys.executable, '-c', {serve!r}, str(port)]\n"
        "    child = process.start(name, command, env={}, extra={'port': port})\n"
        "    child.wait_ready(lambda: not loopback.is_free(port))\n"
    )
    for name in "abcd":
        running = process.find(name)
        assert running is not None
        running.stop()
        assert loopback.is_free(running.extra["port"])


def test_a_pid_that_was_given_to_another_is_not_taken_for_it() -> None:
    running = start(SLEEP)
    rewrite_record("child", pid=os.getpid())
    assert process.find("child") is None
    assert process.stop_recorded() == ["child"]  # the child, which has no record now, not this one
    assert not running.alive


def test_a_clock_that_was_set_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    running = start(SLEEP)
    monkeypatch.setattr(process, "_children", {})  # as another kernel sees it
    before = psutil.Process(running.pid).create_time()
    for system in filter(lambda one: hasattr(one, "boot_time"), (psutil._psplatform, psutil)):
        monkeypatch.setattr(system, "boot_time", lambda: 1e9)  # what the wall clock moves
    if psutil.LINUX:
        assert abs(psutil.Process(running.pid).create_time() - before) > 3600
    assert process.find("child") == running
    assert process.stop_recorded() == ["child"]


@pytest.mark.parametrize("name", ["child", None])
def test_it_is_found_when_the_state_folder_was_removed(name: str | None) -> None:
    running, other = start(PARENT), start(SLEEP, "other")
    shutil.rmtree(state_dir())
    assert process.find("child") is None
    process.start("new", SLEEP, env={})
    assert sorted(process.stop_lost(name)) == (["child"] if name else ["child", "other"])
    assert not running.alive
    assert other.alive == bool(name)
    assert process.find("new") is not None
    assert sorted(process.stop_recorded()) == (["new", "other"] if name else ["new"])


@pytest.mark.parametrize("content", ["", "{", '{"pid": 1}', "[]"])
def test_a_damaged_record_is_no_record(own_state_dir: Path, content: str) -> None:
    (own_state_dir / "processes").mkdir()
    (own_state_dir / "processes" / "child.json").write_text(content)
    assert process.find("child") is None


def test_the_keyboard_does_not_reach_it() -> None:
    running = start(SLEEP)
    assert os.getsid(running.pid) == running.pid
    if psutil.LINUX:
        assert os.readlink(f"/proc/{running.pid}/fd/0") == "/dev/null"


def test_the_environment_is_added_to_and_taken_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKEN", "yes")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example")
    monkeypatch.setenv("NO_PROXY", "intra.example")
    monkeypatch.setenv("no_proxy", "")
    # One write, so that a reader of the first word has the others too.
    names = ("ADDED", "TAKEN", "HTTP_PROXY", "NO_PROXY", "no_proxy")
    show = f"from os import environ; print(*map(environ.get, {names}), 'up')"
    direct = "intra.example,localhost,127.0.0.1,::1"
    said = start([sys.executable, "-c", show], ADDED="yes", TAKEN=None).log_tail()
    assert said == f"yes None http://proxy.example {direct} {direct} up"


def test_all_hosts_without_proxy_stay_all_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "intra.example")
    monkeypatch.setenv("no_proxy", "*")
    assert loopback.no_proxy() == {"NO_PROXY": "*", "no_proxy": "*"}


def test_a_secret_of_the_environment_is_not_on_disk(own_state_dir: Path) -> None:
    first = start(SLEEP, OPENAI_API_KEY="sk-secret")
    files = [path for path in own_state_dir.rglob("*") if path.is_file()]
    assert len(files) >= 2
    assert not any("sk-secret" in path.read_text() for path in files)
    assert first.env_hash == process.hash_env({"OPENAI_API_KEY": "sk-secret"})
    assert first.env_hash != process.hash_env({"OPENAI_API_KEY": "sk-other"})
    for folder in ("processes", "logs"):
        assert (own_state_dir / folder).stat().st_mode & 0o077 == 0  # nor open to other users


def test_the_tail_of_the_log_is_that_of_the_latest_start() -> None:
    start([sys.executable, "-c", "print('up: first')"])
    second = start([sys.executable, "-c", "print('up: second')"])
    assert second.log_tail() == "up: second"
    assert Path(second.log).read_text() == "up: first\nup: second\n"
    assert start([sys.executable, "-c", "print(*range(9), 'up', sep='\\n')"]).log_tail(2) == "8\nup"


def test_a_start_that_fails_is_reported_with_the_log() -> None:
    dying = process.start("child", [sys.executable, "-c", "exit('no disk left')"], env={})
    begun = time.monotonic()
    with pytest.raises(WorkbenchError, match=r"child died while starting.*\n.*\nno disk left"):
        dying.wait_ready(lambda: False, timeout=30)
    assert time.monotonic() - begun < 5
    with pytest.raises(WorkbenchError, match=r"\(pid \d+\) is not ready after 0.1 s.*\n.*\nup"):
        start(SLEEP).wait_ready(lambda: False, timeout=0.1)
    with pytest.raises(WorkbenchError, match="Cannot start child: /no/such/file: No such file"):
        process.start("child", ["/no/such/file"], env={})


def test_everything_is_stopped_the_last_started_first() -> None:
    running = [start(SLEEP, name) for name in ("server", "agent", "model")]
    running[1].kill()
    assert process.stop_recorded() == ["model", "server"]
    assert not any(child.alive for child in running)
    assert process.stop_recorded() == []


def test_one_of_two_kernels_waits_for_the_other() -> None:
    holder = (
        "import time\nfrom workbench.state_dir import exclusive\n"
        "with exclusive('thing'):\n print('up', flush=True)\n time.sleep(0.5)\n"
    )
    other = start([sys.executable, "-c", holder], PYTHONPATH=str(REPOSITORY))
    with (
        pytest.raises(WorkbenchError, match=r"starting thing for 0.1 s"),
        exclusive("thing", timeout=0.1),
    ):
        pass
    with exclusive("thing"):
        assert other.log_tail() == "up"


def test_a_state_folder_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with monkeypatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(tmp_path / "file" / "state"))
        with pytest.raises(WorkbenchError, match="Set WORKBENCH_HOME to a folder"):
            state_dir()
        patch.setenv("WORKBENCH_HOME", str(tmp_path))
        patch.setattr(os, "access", lambda *_: False)  # of another user
        with pytest.raises(WorkbenchError, match=r"it may not be written to\.\nSet WORKBENCH_HOME"):
            state_dir()
