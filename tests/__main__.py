"""`python -m tests`, the command `test`: every check to its end, whatever those before it said."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_STOP = ("workbench.jupyterlab", "stop")
# What a stage may take to end when it is asked to: pytest stops servers, the lessons kernels.
_GRACE_SECONDS = 30.0


def parse(arguments: list[str]) -> list[str]:
    """The arguments for pytest; exits with 2 where there are others, and with 0 after `--help`."""
    parser = argparse.ArgumentParser(
        prog="test",
        usage="test [-h] [-- PYTEST_ARGUMENT ...]",
        description="Set up what is missing; then lint and format (ruff), types (mypy), tests"
        " (pytest), all lessons. The exit code is 1 if one of them failed.",
    )
    end = arguments.index("--") if "--" in arguments else len(arguments)
    parser.parse_args(arguments[:end])
    return arguments[end + 1 :]


def main(arguments: list[str]) -> int:
    """Run the stages; 1 is a stage that failed, 130 is Ctrl-C."""
    from workbench.command import run_command  # not before the arguments are understood

    return run_command(partial(_run_apart, parse(arguments)))


def _run_apart(pytest_arguments: list[str]) -> int:
    """What the stages start is kept apart from the reader's."""
    folder = Path(os.environ.get("WORKBENCH_HOME") or _ROOT / ".workbench").expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="test-", dir=folder)).resolve()
    os.environ["WORKBENCH_HOME"] = str(home)
    try:
        return _run_all(_stages(home, pytest_arguments))
    finally:
        subprocess.run([sys.executable, "-m", *_STOP], stdout=subprocess.DEVNULL, check=False)
        shutil.rmtree(home, ignore_errors=True)


def _stages(home: Path, pytest_arguments: list[str]) -> dict[str, list[str | Path]]:
    python: list[str | Path] = [sys.executable, "-m"]
    lessons = sorted(path.stem for path in (_ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    return {
        "lint": [*python, "ruff", "check", "."],
        "format": [*python, "ruff", "format", "--check", "."],
        "types": [*python, "mypy"],
        "tests": [
            # Tests wait more than they compute, each worker with servers of its own.
            *(*python, "pytest", "-n", "4", "--dist", "loadgroup", "--basetemp", home / "pytest"),
            *(pytest_arguments or ["tests", "notebooks/test_exercises.py"]),
        ],
        # By their names: the exercises have been proved with the tests, side by side.
        "series": [sys.executable, _ROOT / "scripts" / "check", *lessons],
    }


def _run_all(stages: dict[str, list[str | Path]]) -> int:
    outcomes = {}
    for name, command in stages.items():
        print(f"\n{f' {name} ':─^80}", flush=True)
        began = time.monotonic()
        outcomes[name] = (_run(command) == 0, time.monotonic() - began)
    print(f"\n{' summary ':─^80}")
    for name, (passed, seconds) in outcomes.items():
        print(f"{name:<8} {'passed' if passed else 'FAILED'} {seconds:7.1f} s")
    failed = [name for name, (passed, _) in outcomes.items() if not passed]
    print(f"failed: {', '.join(failed)}" if failed else "all passed")
    return 1 if failed else 0


def _run(command: Sequence[str | Path]) -> int:
    """Run a stage to its end. It leads a session of its own, so that only we get Ctrl-C."""
    stage = subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        return stage.wait()
    finally:
        if stage.poll() is None:
            stage.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                stage.wait(_GRACE_SECONDS)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(stage.pid, signal.SIGKILL)
            stage.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
