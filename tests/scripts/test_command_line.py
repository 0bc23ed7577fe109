"""What the commands say without setting anything up: help, mistakes, a Python that is too old."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.__main__ import _run_all

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
COMMANDS = ["tutorial", "test", "check", "judge", "stress", "benchmark", "claims"]


def _run(line: str) -> subprocess.CompletedProcess[str]:
    """Run a command with the standard library alone: nothing may be needed that is not set up."""
    command, *arguments = line.split(" ")
    program = [sys.executable, "-S", SCRIPTS / command, *arguments]
    return subprocess.run(program, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("command", [*COMMANDS, "tutorial run", "tutorial stop"])
def test_help(command: str) -> None:
    answer = _run(f"{command} --help")

    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith(f"usage: {command} ")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("tutorial run 99", "there is no lesson '99'"),
        ("tutorial run --jobs 0", "'0' is not a whole number from 1"),
        ("tutorial dance", "invalid choice: 'dance'"),
        ("check nonsense", "there is no lesson 'nonsense'"),
        ("check --everything", "--everything says what --update writes"),
        ("test tests/agent", "unrecognized arguments: tests/agent"),
        ("judge nothing.py", "there is no file nothing.py"),
        ("judge README.md --level 99", "there is no level 99; the levels are 0 to 12"),
        ("stress --seconds nan", "'nan' is not a number of seconds from 1 to 86400"),
        ("stress --sessions 101", "'101' is not a whole number from 1 to 100"),
        ("stress --faults agent,fire", "'fire' is none of agent, server, model, hang"),
        ("stress --seed -1", "'-1' is not a whole number from 0"),
        ("benchmark --sessions 1,,2", "'' is not a whole number from 1"),
        ("claims --restate newest", "'newest' is not a version such as 1.7.12"),
        ("claims --markdown -", "--markdown writes a matrix: add --restate, --sdk or --vqueues"),
    ],
)
def test_what_it_does_not_know_is_refused(line: str, message: str) -> None:
    answer = _run(line)

    assert (answer.returncode, answer.stdout) == (2, "")
    assert message in answer.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_an_old_python_is_told_so(command: str) -> None:
    program = SCRIPTS / command
    pretend = (
        "import runpy, sys; sys.version_info = (3, 9, 18, 'final', 0);"
        f"sys.argv = [{str(program)!r}]; sys.path.insert(0, {str(SCRIPTS)!r});"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )

    answer = subprocess.run([sys.executable, "-c", pretend], capture_output=True, text=True)

    assert answer.returncode == 1
    assert answer.stderr == (
        f"This needs Python 3.10 or newer, and {sys.executable} is 3.9.\n"
        f"Install a newer one and start the command with it: python3.12 {program}\n"
    )


@pytest.mark.parametrize("file", [*COMMANDS, "_setup.py"])
def test_an_old_python_can_read_that_far(file: str) -> None:
    ast.parse((SCRIPTS / file).read_text(), feature_version=(3, 6))


@pytest.mark.parametrize(("first", "verdict"), [("1", "failed: first"), ("0", "all passed")])
def test_every_stage_runs_and_the_failed_ones_are_named(
    capfd: pytest.CaptureFixture[str], first: str, verdict: str
) -> None:
    python = [sys.executable, "-c"]
    code = _run_all({"first": [*python, f"exit({first})"], "second": [*python, "print('ran')"]})
    out, _ = capfd.readouterr()

    assert code == int(first)
    assert re.search(r"^second +passed +\d+\.\d s$", out, re.MULTILINE)
    assert "ran\n" in out
    assert out.splitlines()[-1] == verdict
