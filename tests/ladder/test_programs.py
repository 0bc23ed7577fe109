"""Programs that cannot be judged: what is said of them, and what is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psutil
import pytest

from workbench import wait_until
from workbench.ladder import contestant
from workbench.ladder.errors import Unplayable
from workbench.ladder.judge import judge_of
from workbench.ladder.levels import FOLDER
from workbench.lesson import stop_all
from workbench.state_dir import REPOSITORY, use_state_dir

SERVED = """
import asyncio, os
import hypercorn.asyncio, restate
from hypercorn.config import Config
from restate import Service, VirtualObject

agent, other = VirtualObject("Agent"), Service("Other")

@agent.handler()
async def message(ctx, request: dict) -> {message}

{turns}
async def turns(ctx) -> dict:
    return {{"not": "a list"}}

@other.handler()
async def hello(ctx) -> str:
    return "hello"

config = Config.from_mapping(bind=[os.environ["AGENT_BIND"]])
asyncio.run(hypercorn.asyncio.serve(restate.app({served}), config))
"""

REPLY = 'dict:\n    return {"turn": 1, "task_id": "inv_1gdJBtdVEcM942bjcDmb1c1khoaJe11Hbz"}'
SHARED = '@agent.handler(kind="shared")'
ELSEWHERE = (
    "import socket, time\ns = socket.create_server(('127.0.0.1', 0))\nprint('up')\ntime.sleep(99)"
)
NO_RESTATE = """
import http.server, os
port = int(os.environ["AGENT_BIND"].rpartition(":")[2])
http.server.HTTPServer(("127.0.0.1", port), http.server.BaseHTTPRequestHandler).serve_forever()
"""


def served(message: str = REPLY, turns: str = SHARED, services: str = "[agent]") -> str:
    return SERVED.format(message=message, turns=turns, served=services)


SEEDS = count(1000)  # one server for all: no two runs may have the same sessions
PROGRAMS = {
    "does not start": ("import nothing_like_it", "ended before it listened. The last line"),
    "listens elsewhere": (ELSEWHERE, "does not listen on 127.0.0.1"),
    "no Restate": (NO_RESTATE, "Restate finds no services there"),
    "other services": (served(services="[other]"), "serves Other. The contract asks for a virtual"),
    "a handler is missing": (served(turns=""), "has no handler 'turns'; it has message"),
    "another answer": (served('str:\n    return "yes"'), "`message` answered yes. The contract"),
    "no list of turns": (served(), "`turns` answered {'not': 'a list'}"),
    "dies": (served("dict:\n    os._exit(3)"), "ended in the middle of the level"),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with use_state_dir(tmp_path_factory.mktemp("ladder")):
        yield
        stop_all()


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.usefixtures("home")
def test_what_is_said_of_a_program(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contestant, "_START_SECONDS", 5.0)
    source, says = PROGRAMS[name]
    program = tmp_path / "my_agent.py"
    program.write_text(source)
    command = [sys.executable, str(program)]
    with judge_of("my_agent.py", command, tmp_path, next(SEEDS)) as judge:
        with pytest.raises(Unplayable) as error:
            judge.climb(0)
        assert says in str(error.value)
        assert str(error.value).count("\n") <= 1
    assert not _of(program)


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    program = tmp_path / "my_agent.py"
    program.write_text((FOLDER / "solutions" / "level_12.py").read_text())
    home = tmp_path / "home"
    judge = subprocess.Popen(
        [sys.executable, "-m", "notebooks.ladder", str(program), "--level", "12"],
        env={**os.environ, "WORKBENCH_HOME": str(home), "PYTHONUNBUFFERED": "1"},
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert judge.stdout
    for line in judge.stdout:
        if line.startswith("✓ Level 0"):
            break
    wait_until(lambda: _of(program), what="the program to run")
    judge.send_signal(signal.SIGINT)
    said, _ = judge.communicate(timeout=30)
    assert judge.returncode == 130
    assert "Interrupted; all that was started has ended." in said
    assert not _of(program)
    assert not [*home.glob("ladder-*")]


def _of(program: Path) -> list[psutil.Process]:
    """The processes that run a program."""
    found = []
    for one in psutil.process_iter(["cmdline"]):
        if str(program) in (one.info["cmdline"] or [])[1:2]:
            found.append(one)
    return found
