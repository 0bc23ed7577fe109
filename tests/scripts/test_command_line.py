"""What the commands say without setting anything up: help, mistakes, a Python that is too old."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def _run(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPTS / command, *arguments], capture_output=True, text=True, timeout=30
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("tutorial", "--help"),
        ("tutorial", "run", "--help"),
        ("tutorial", "stop", "--help"),
        ("test", "--help"),
        ("stress", "--help"),
        ("check", "--help"),
        ("claims", "--help"),
        ("benchmark", "--help"),
        ("benchmark", "load", "--help"),
        ("benchmark", "long-session", "--help"),
    ],
)
def test_help(arguments: tuple[str, ...]) -> None:
    answer = _run(*arguments)

    assert answer.returncode == 0
    assert answer.stdout.startswith("usage: ")
    assert answer.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tutorial", "run", "99"], "there is no lesson '99'"),
        (["tutorial", "run", "nonsense"], "there is no lesson 'nonsense'"),
        (["tutorial", "run", "--colour"], "unrecognized arguments: --colour"),
        (["tutorial", "run", "--jobs", "0"], "'0' is not a whole number from 1"),
        (["tutorial", "run", "--jobs", "many"], "'many' is not a whole number from 1"),
        (["tutorial", "run", "--cell-timeout", "0"], "'0' is not a whole number from 1"),
        (["check", "99"], "there is no lesson '99'"),
        (["check", "--jobs", "0"], "'0' is not a whole number from 1"),
        (["check", "--everything"], "--everything says what --update writes, and needs it"),
    ],
)
def test_what_it_does_not_know_is_refused_with_the_lessons(
    arguments: list[str], message: str
) -> None:
    answer = _run(*arguments)

    assert answer.returncode == 2
    assert answer.stdout == ""
    assert message in answer.stderr
    assert "The lessons:\n" in answer.stderr


def test_a_command_that_there_is_not() -> None:
    answer = _run("tutorial", "dance")

    assert answer.returncode == 2
    assert "invalid choice: 'dance'" in answer.stderr


def test_arguments_for_pytest_come_after_two_dashes() -> None:
    answer = _run("test", "-k", "something")

    assert answer.returncode == 2
    assert "unrecognized arguments: -k something" in answer.stderr
    assert "[-- PYTEST_ARGUMENT ...]" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seconds", "soon"], "'soon' is not a number of seconds from 1 to 86400"),
        (["--seconds", "0"], "'0' is not a number of seconds from 1 to 86400"),
        (["--seconds", "nan"], "'nan' is not a number of seconds from 1 to 86400"),
        (["--sessions", "101"], "'101' is not a whole number from 1 to 100"),
        (["--faults", "agent,fire"], "'fire' is none of agent, server, model, hang"),
        (["--faults", ""], "'' is none of agent, server, model, hang"),
        (["--seed", "-1"], "'-1' is not a whole number from 0"),
        (["dance"], "unrecognized arguments: dance"),
    ],
)
def test_stress_refuses_in_one_line(arguments: list[str], message: str) -> None:
    answer = _run("stress", *arguments)

    assert answer.returncode == 2
    assert answer.stdout == ""
    assert message in answer.stderr
    assert answer.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: {load,long-session}"),
        (["load", "--sessions", "1,,2"], "'' is not a whole number from 1"),
        (["load", "--rounds", "0"], "'0' is not a whole number from 1"),
        (["long-session", "--turns", "50"], "50 turns are too few to compare: it takes 100"),
    ],
)
def test_a_benchmark_that_cannot_be_is_refused(arguments: list[str], message: str) -> None:
    answer = _run("benchmark", *arguments)

    assert answer.returncode == 2
    assert answer.stdout == ""
    assert message in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--restate", "newest"], "'newest' is no version, such as 1.7.12"),
        (["--sdk", "1.1.0,"], "'' is no version, such as 1.7.12"),
        (["--markdown", "-"], "--markdown writes a matrix: it goes with --restate or --sdk"),
        (["--list", "--sdk", "1.1.0"], "--list runs nothing: it goes with neither"),
        (["dance"], "unrecognized arguments: dance"),
    ],
)
def test_claims_refuses_in_one_line(arguments: list[str], message: str) -> None:
    answer = _run("claims", *arguments)

    assert answer.returncode == 2
    assert answer.stdout == ""
    assert message in answer.stderr
    assert answer.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["tutorial", "test", "check", "stress", "benchmark", "claims"])
def test_an_old_python_is_told_so(command: str) -> None:
    pretend = (
        "import runpy, sys; sys.version_info = (3, 9, 18, 'final', 0);"
        f"sys.path.insert(0, {str(SCRIPTS)!r});"
        f"runpy.run_path({str(SCRIPTS / command)!r}, run_name='__main__')"
    )

    answer = subprocess.run([sys.executable, "-c", pretend], capture_output=True, text=True)

    assert answer.returncode == 1
    assert answer.stderr == (
        f"This needs Python 3.10 or newer, and {sys.executable} is 3.9.\n"
        f"Install a newer one and start the command with it: python3.12 {SCRIPTS / command}\n"
    )


@pytest.mark.parametrize(
    "file", ["tutorial", "test", "check", "stress", "benchmark", "claims", "_check_python.py"]
)
def test_an_old_python_can_read_that_far(file: str) -> None:
    ast.parse((SCRIPTS / file).read_text(), feature_version=(3, 4))


@pytest.mark.parametrize(
    ("stages", "code", "verdict"),
    [
        ({"first": ["no_such_module"], "second": ["platform"]}, 1, "failed: first"),
        ({"first": ["platform"], "second": ["platform"]}, 0, "all passed"),
    ],
)
def test_every_stage_runs_and_the_failed_ones_are_named(
    tmp_path: Path, stages: dict[str, list[str]], code: int, verdict: str
) -> None:
    pretend = (
        f"import pathlib, sys; sys.path.insert(0, {str(SCRIPTS)!r});"
        "import _command, _setup, _test;"
        "_setup.ensure = lambda: None; _setup.PYTHON = sys.executable;"
        f"_setup.WORKBENCH = pathlib.Path({str(tmp_path)!r});"
        f"_test._stages = lambda home, arguments: {stages!r}; _command.run(_test.main)"
    )

    answer = subprocess.run([sys.executable, "-c", pretend], capture_output=True, text=True)

    assert answer.returncode == code
    assert re.search(r"^second +passed +\d+\.\d s$", answer.stdout, re.MULTILINE)
    assert answer.stdout.splitlines()[-1] == verdict
    assert list(tmp_path.iterdir()) == []
