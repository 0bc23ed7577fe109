"""Child processes: the one place that starts, finds, waits for, stops, kills and reaps them.

A lesson's kernel comes and goes while the server, the agent and the model go on. So every process
leaves a record in the state folder, by which a later kernel finds it, and carries a mark in its
environment, by which it is found when that folder was removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from workbench.loopback import no_proxy
from workbench.state_dir import WorkbenchError, created, logs, state_dir

# Children of this very process: they stay zombies until they are polled.
_children: dict[int, subprocess.Popen[bytes]] = {}

_MARK = "WORKBENCH_PROCESS"
"""The environment variable that names a process and its state folder: `agent@/path`."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # on Linux


@dataclass(frozen=True)
class Running:
    """A process as recorded at its start; `alive` tells what has become of it since."""

    name: str
    pid: int
    identity: str
    """Tells it from later processes with the same pid; see `_identity`."""
    started: float
    """On the monotonic clock of this boot."""
    env_hash: str
    """Of what `start` was given; see `hash_env`."""
    log: str
    """Path of the file that holds its stdout and stderr, and those of earlier starts."""
    log_start: int
    """Offset in that file, in bytes, at which this start's own lines begin."""
    extra: dict[str, Any]
    """Values to find again, such as ports. Never a secret: they are on disk."""

    @property
    def alive(self) -> bool:
        """Whether the process runs; a zombie does not."""
        child = _children.get(self.pid)
        if child is not None:
            if child.poll() is None:
                return True
            del _children[self.pid]
        try:
            if _identity(self.pid) != self.identity:
                return False
            process = psutil.Process(self.pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                return True
            return process.num_threads() > 1  # those still hold its files and its port
        except psutil.NoSuchProcess:
            return False

    def log_tail(self, lines: int = 15) -> str:
        """The last lines that this start of the process wrote."""
        try:
            with open(self.log, "rb") as file:
                file.seek(self.log_start)
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.rstrip().splitlines()[-lines:])

    def wait_ready(
        self, ready: Callable[[], bool], *, timeout: float = 30.0, advice: str = ""
    ) -> None:
        """Return once `ready()` is true, `timeout` seconds at most.

        Raises WorkbenchError with `advice` and the last lines of the log: at once if the process
        dies meanwhile.
        """
        deadline = time.monotonic() + timeout
        while not ready():
            fault = None if self.alive else "died while starting"
            if fault is None and time.monotonic() > deadline:
                fault = f"(pid {self.pid}) is not ready after {timeout:g} s"
            if fault is not None:
                raise WorkbenchError(
                    f"{f'{self.name} {fault}. {advice}'.rstrip()}\nThe end of {self.log}:\n"
                    f"{self.log_tail() or '(nothing was written)'}"
                )
            time.sleep(0.01)

    def stop(self, grace: float = 5.0) -> None:
        """Ask the process to end (SIGTERM); after `grace` seconds, make it (SIGKILL)."""
        if self._signal(signal.SIGTERM) and not self._gone_within(grace):
            self.kill()

    def kill(self) -> None:
        """End the process as a crash would (SIGKILL): it is gone and reaped when this returns."""
        if self._signal(signal.SIGKILL) and not self._gone_within(10.0):
            raise WorkbenchError(f"{self.name} (pid {self.pid}) is still there after SIGKILL.")

    def _signal(self, number: signal.Signals) -> bool:
        """Signal the process and what it started; False when there is nothing to signal."""
        if not self.alive:
            return False
        try:
            os.killpg(self.pid, number)  # it leads its session, so its group has its number
        except (ProcessLookupError, PermissionError):  # macOS says the latter of a zombie's group
            return False
        return True

    def _gone_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True


def start(
    name: str,
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str | None],
    extra: Mapping[str, Any] | None = None,
    cwd: Path | None = None,
) -> Running:
    """Start `command` in the background and record it as `name`.

    `env` is added to this process's environment; None removes a variable. Loopback is exempt from
    any proxy. There is no stdin, the output goes to `logs/<name>.log`, and the session is its own,
    so that a kernel's Ctrl-C does not reach it. Hold `exclusive(name)` around `find` and `start`.
    """
    stop_lost(name)
    for former in [pid for pid, child in _children.items() if child.poll() is not None]:
        del _children[former]
    environment = {**os.environ, **no_proxy(), **env, _MARK: f"{name}@{state_dir()}"}
    log = logs() / f"{name}.log"
    with log.open("ab") as output:
        log_start = output.tell()
        try:
            child = subprocess.Popen(
                [str(part) for part in command],
                env={key: value for key, value in environment.items() if value is not None},
                cwd=cwd or state_dir(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise WorkbenchError(f"Cannot start {name}: {command[0]}: {error.strerror}.") from error
    _children[child.pid] = child
    running = Running(
        name=name,
        pid=child.pid,
        identity=_identity(child.pid),  # it exists, even if it has already exited
        started=time.monotonic(),
        env_hash=hash_env(env),
        log=str(log),
        log_start=log_start,
        extra=dict(extra or {}),
    )
    _write(running)
    return running


def find(name: str) -> Running | None:
    """The process recorded as `name`, if it is alive."""
    running = last(name)
    return running if running is not None and running.alive else None


def last(name: str) -> Running | None:
    """The process that was last started as `name` in this state folder, dead or alive."""
    try:
        return Running(**json.loads(_record(name).read_text()))
    except (FileNotFoundError, ValueError, TypeError):  # none, or another version's
        return None


def stop_recorded() -> list[str]:
    """Stop every process that was started in this state folder, the last started first.

    Those that lost their record are stopped too. Returns the names.
    """
    running = [record for record in _records() if record.alive]
    running.sort(key=lambda record: record.started, reverse=True)
    for record in running:
        record.stop()
    return [record.name for record in running] + stop_lost()


def stop_lost(name: str | None = None) -> list[str]:
    """Stop processes of this state folder that have lost their record: all, or those called `name`.

    The folder may have been removed while it ran: then its data are gone too. Returns the names.
    """
    if name is not None and last(name) is not None:
        return []
    spared = {record.pid for record in _records() if record.alive} | {os.getpid()}
    spared |= {parent.pid for parent in psutil.Process().parents()}
    marks: dict[int, str] = {}
    everything = list(psutil.process_iter(["ppid", "environ"]))
    for one in everything:
        marks[one.pid] = (one.info["environ"] or {}).get(_MARK, "")  # None: another user's
    lost = [
        one
        for one in everything
        if marks[one.pid].partition("@")[2] == str(state_dir())
        and name in (None, marks[one.pid].partition("@")[0])
        and marks[one.pid] != marks.get(one.info["ppid"])  # a child that inherited the mark
        and one.pid not in spared
    ]
    families = list(lost)
    for one in lost:
        with contextlib.suppress(psutil.NoSuchProcess):
            children = one.children(recursive=True)
            families += [child for child in children if marks.get(child.pid) == marks[one.pid]]
    for one in families:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.terminate()
    _, stubborn = psutil.wait_procs(families, timeout=5)
    for one in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(stubborn, timeout=10)
    return [marks[one.pid].partition("@")[0] for one in lost]


def recorded_pids(folder: Path) -> set[int]:
    """The pids of the processes last started in the state folder `folder`, dead or alive.

    Each leads a session, so what it started itself is in the session of that number.
    """
    found = set()
    for path in (folder / "processes").glob("*.json"):
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError):
            found.add(int(json.loads(path.read_text())["pid"]))
    return found


def hash_env(env: Mapping[str, str | None]) -> str:
    """A digest by which environments compare: they may hold an API key, so no record holds them."""
    return hashlib.sha256(json.dumps(dict(env), sort_keys=True).encode()).hexdigest()


def _identity(pid: int) -> str:
    """The boot, and psutil's hash of a pid and its start since boot: no clock changes them.

    Raises psutil.NoSuchProcess when there is no such process.
    """
    boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
    return f"{boot} {hash(psutil.Process(pid))}"


def _records() -> list[Running]:
    records = [last(path.stem) for path in (state_dir() / "processes").glob("*.json")]
    return [record for record in records if record is not None]


def _record(name: str) -> Path:
    return state_dir() / "processes" / f"{name}.json"


def _write(running: Running) -> None:
    path = _record(running.name)
    created(path.parent, private=True)
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(json.dumps(asdict(running), indent=2))
    draft.replace(path)  # a reader sees the old record or the new one, never half of one
