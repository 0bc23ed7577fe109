"""Sets up what a command needs (`.venv`, its packages, a Restate server), then becomes the command.

A stamp in `.venv` says what it was made from; while that holds, finding out takes milliseconds.
Standard library only, and no syntax that Python 3.6 cannot read.
"""

import os
import sys

if os.name == "nt":
    sys.exit("This needs Linux or macOS. On Windows, run it inside WSL 2: https://aka.ms/wsl")
if sys.version_info < (3, 10):  # noqa: UP036
    sys.exit(
        "This needs Python 3.10 or newer, and %s is %d.%d.\n"  # noqa: UP031
        "Install a newer one and start the command with it: python3.12 %s"
        % (sys.executable, sys.version_info[0], sys.version_info[1], " ".join(sys.argv))
    )

import contextlib
import fcntl
import hashlib
import importlib.util
import io
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import NoReturn

import _sources

ROOT = Path(__file__).resolve().parents[1]
_REQUIREMENTS = ROOT / "requirements.txt"
_UV, _PIP = "uv==0.13.9", "pip==26.3"
# This may be a virtual environment's Python, even that of the `.venv` to be replaced.
_BASE = getattr(sys, "_base_executable", sys.executable)
_HINT = "It needs the network once; index, proxy and certificates are as pip is told."

for _stream in (sys.stdout, sys.stderr):
    if isinstance(_stream, io.TextIOWrapper):  # what a terminal cannot show becomes "?"
        _stream.reconfigure(errors="replace")


def run(module: str, *arguments: object, parser: str = "", provider: bool = False) -> NoReturn:
    """Set up what is missing, and become `python -m module` of the environment.

    The module `parser` has a function `parse`, which refuses arguments before that. Only with
    `provider` may a real model be asked, if the environment names one.
    """
    if parser:
        sys.path.insert(0, str(ROOT))
        importlib.import_module(parser).parse([str(argument) for argument in arguments])
    if not provider:
        for name in [name for name in os.environ if name.startswith("OPENAI_")]:
            del os.environ[name]
    set_up()
    become(module, *arguments)


def become(module: str, *arguments: object) -> NoReturn:
    """Become `python -m module` of the environment as it is; set up only where there is none."""
    if not os.access(PYTHON, os.X_OK):
        set_up()
    encoding = os.environ.get("PYTHONIOENCODING", "").partition(":")[0]
    variables = {**_sources.for_python(VENV), "PYTHONPATH": str(ROOT)}
    variables["PYTHONIOENCODING"] = encoding + ":replace"  # "?" for what cannot be shown
    # Signals wait until the module can handle them.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    os.execve(PYTHON, [str(word) for word in (PYTHON, "-m", module, *arguments)], variables)


def set_up() -> None:
    """Set up what is missing or out of date; wait where another command is doing it."""
    if _is_set_up():
        return _say(f"Set up already, in {VENV}")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # to end is to be interrupted
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, signal.default_int_handler)
    began = time.monotonic()
    try:
        _LOG.parent.mkdir(parents=True, exist_ok=True)
        with (WORK / "set-up.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _say("Waiting for the set-up that another command has begun …")
                fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_set_up():
                _say(f"Setting up in {VENV}")
                _install()
    except OSError as error:
        sys.exit(f"Cannot set up in {VENV}: {error}.\nWORKBENCH_HOME can name another folder.")
    except KeyboardInterrupt:
        _say("Interrupted.")
        sys.exit(130)
    _say(f"Set up in {time.monotonic() - began:.0f} s")


def _is_set_up() -> bool:
    return _has_packages(VENV) and _server() in _read(_SERVER)


def _has_packages(venv: Path) -> bool:
    """Whether `venv` is whole, where it was made, and has what is required today."""
    stamp = _read(venv / "set-up")
    required = {*stamp[2:], *_required(venv)}
    return stamp[:2] == [_place(venv), _given()] and required <= _installed(venv)


def _place(venv: Path) -> str:
    """The location of `venv` and its interpreter: neither may change."""
    python = venv / "bin" / "python"
    return f"{venv.resolve()} {python.resolve() if os.access(python, os.X_OK) else 'gone'}"


def _given() -> str:
    files = [_REQUIREMENTS, ROOT / "pyproject.toml"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def add_packages(name: str, title: str) -> None:
    """Install what an optional requirements file names, without what that depends on."""
    file = ROOT / name
    if not _required(VENV, file) <= _installed(VENV):
        variables = _sources.for_set_up(VENV, WORK / "uv")
        command = (PYTHON, "-m", "pip", "install", "--no-compile", "--no-deps", "-r", file)
        _step(title, *command, env=variables)


def _required(venv: Path, file: Path = _REQUIREMENTS) -> set[str]:
    """The packages that `file` names for the Python of `venv`, with their versions."""
    folders = " ".join(map(str, venv.glob("lib/python3.*")))
    minor = int((re.findall(r"/python3\.(\d+)", folders) or [0])[-1])
    line = r'^([\w.-]+==[\w.]+)(?:; python_version (<|>=) "3\.(\d+)")?'
    found = re.findall(line, file.read_text(), re.MULTILINE)
    return {
        _plain(package)
        for package, comparison, limit in found
        if not comparison or (comparison == "<") == (minor < int(limit))
    }


def _installed(venv: Path) -> set[str]:
    """The packages in `venv` itself, wherever else its Python may find some."""
    found = venv.glob("lib/python3.*/site-packages/*.dist-info")
    return {_plain(path.name[: -len(".dist-info")]) for path in found}


def _plain(package: str) -> str:
    return re.sub(r"[-_.=]+", "-", package).lower()


def _server() -> str:
    """The question that the workbench answers by installing a Restate server, or none."""
    lock = ROOT / "workbench" / "restate" / "npm" / "package-lock.json"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    return f"{os.environ.get('RESTATE_MODE') or 'auto'} {digest}"


def _read(file: Path) -> list[str]:
    with contextlib.suppress(OSError, ValueError):
        return file.read_text().splitlines()
    return []


def _install() -> None:
    variables = _sources.for_set_up(VENV, WORK / "uv")
    if not _has_packages(VENV):
        _install_packages(variables)
    if _server() not in _read(_SERVER):
        title = "Restate server (80 MB, where there is no Docker)"
        _step(title, PYTHON, "-m", "workbench.restate", "install", env=variables)
        _SERVER.parent.mkdir(exist_ok=True)
        _SERVER.write_text("\n".join([*_read(_SERVER), _server()]))


def _install_packages(variables: dict[str, str]) -> None:
    stamp, before = VENV / "set-up", _read(VENV / "set-up")
    is_recent = "import sys; sys.exit(sys.version_info < (3, 10))"
    is_by_hand = not before and _step("", PYTHON, "-c", is_recent, env=variables, needed=False)
    if not is_by_hand:
        if before[:1] != [_place(VENV)]:
            before = []
            _make_venv(variables)
        stamp.write_text("unfinished")  # if this is cut short, it is made anew
    try:
        _fill_venv(variables)
    except SystemExit:
        if before:  # everything is downloaded before anything is changed
            stamp.write_text("\n".join(before))
        raise
    stamp.write_text("\n".join([_place(VENV), _given(), *sorted(_installed(VENV))]))


def _make_venv(variables: dict[str, str]) -> None:
    VENV.parent.mkdir(parents=True, exist_ok=True)
    _say("  About 200 MB to download, 650 MB on disk. It goes on by itself.")
    free = shutil.disk_usage(VENV.parent).free // 10**6
    if free < 900:
        sys.exit(f"The disk is too full: set-up needs 900 MB, {VENV.parent} has {free} MB left.")
    if VENV.is_symlink():
        VENV.unlink()
    elif VENV.exists():
        shutil.rmtree(VENV)
    VENV.mkdir()
    (VENV / "set-up").write_text("unfinished")
    command = (_BASE, "-m", "venv", "--without-pip", VENV)
    _step("virtual environment", *command, env=variables)


def _fill_venv(variables: dict[str, str]) -> None:
    """Install the packages: with uv, which is many times as fast as pip, or else with pip."""
    pip = [_BASE, "-m", "pip", "--python", PYTHON]
    if not _step("", *pip, "--version", env=variables, needed=False):
        if importlib.util.find_spec("ensurepip") is None:
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            sys.exit(
                f"{_BASE} has neither pip nor ensurepip.\nInstall them (Debian, Ubuntu:"
                f" sudo apt install python{version}-venv), or start this with another Python."
            )
        _step("pip", PYTHON, "-m", "ensurepip", env=variables)
        pip = [PYTHON, "-m", "pip"]
    pip += ["install", "--no-compile"]
    uv = [PYTHON, "-m", "uv", "pip", "install", "--python", PYTHON, "-r", _REQUIREMENTS, _PIP]
    if variables.get("PIP_NO_INDEX", "0") not in ("0", "false", "no", "off"):
        uv.append("--no-index")
    is_done = (
        _step("uv", *pip, "--retries=1", "--only-binary=:all:", _UV, env=variables, needed=False)
        and _step("packages (100 MB)", *uv, env=variables, needed=False)
        and _required(VENV) <= _installed(VENV)
    )
    if not is_done:
        title = "packages with pip instead of uv (about a minute)"
        _step(title, *pip, "-r", _REQUIREMENTS, env=variables)


def _step(title: str, *command: object, env: dict[str, str], needed: bool = True) -> bool:
    """Run a command to its end, with a sign of life now and then; whether it succeeded.

    Exits with its last words if it is needed and fails; says nothing without a title.
    """
    began, on_terminal = time.monotonic(), sys.stderr.isatty()

    def say_time(end: str) -> None:
        if title:
            _say(f"  {title} … {time.monotonic() - began:.0f} s", end)

    with _LOG.open("ab") as log:
        start = log.tell()
        try:
            process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=env,
                start_new_session=True,  # Ctrl-C reaches us, and we end it
            )
        except FileNotFoundError:
            return False
        try:
            while process.returncode is None:
                say_time("\r" if on_terminal else "\n")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(1 if on_terminal else 10)
        finally:
            if process.returncode is None:
                with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                    os.killpg(process.pid, signal.SIGINT)
                    process.wait(5)
                with contextlib.suppress(ProcessLookupError, PermissionError):  # none is left
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            say_time("\n")
    if process.returncode != 0 and needed:
        said = _LOG.read_bytes()[start:].decode(errors="replace")
        if re.search("No space left on device|Disk quota exceeded", said):
            sys.exit(f"{title}: the disk is full. Set-up needs 900 MB in {VENV.parent}.")
        lines = [line[:200] for line in said.splitlines() if line.strip("━ ")]
        lines = [line for line in lines if not line.lstrip().startswith("WARNING")][-8:]
        sys.exit("\n".join([*lines, f"{title}: failed; all it said is in {_LOG}.", _HINT]))
    return process.returncode == 0


def _say(line: str, end: str = "\n") -> None:
    print(line, file=sys.stderr, end=end, flush=True)


WORK = ROOT / ".workbench"
VENV = ROOT / ".venv"
if not os.access(ROOT, os.W_OK):  # a checkout that others share: only what is whole is used of it
    WORK = Path(os.environ.get("WORKBENCH_HOME") or WORK).expanduser().resolve()
    VENV = VENV if _has_packages(VENV) else WORK / "venv"
PYTHON = VENV / "bin" / "python"
_LOG = WORK / "logs" / "set-up.log"
_SERVER = WORK / "npm" / "set-up"
