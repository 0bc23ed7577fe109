"""Commands of a shell at the lesson's server: `curl`, and Restate's own `restate`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

from workbench.bench import current
from workbench.ids import WIDTH, short_ids
from workbench.loopback import no_proxy
from workbench.restate import install_cli
from workbench.state_dir import REPOSITORY, WorkbenchError, created, state_dir

__all__ = ["sh"]

_LIMIT = 60.0
_COLOURS = {"CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR"}
_BULK = re.compile(r"\brestate invocations (cancel|kill|purge) (\S+)")
_TIME = re.compile(r"(Query took) [\d.]+\w+")


def sh(command: str) -> None:
    """Run a command of the shell; print it, what it says, and its exit code unless that is 0.

    It runs in this repository. `$RESTATE_ADMIN_URL` is the lesson's server, `python` this one.
    `restate`, the CLI, is installed when it is first
    asked for; where it cannot be had, a bulk command is run as a loop of `curl`. Raises
    WorkbenchError when a command takes more than a minute.
    """
    restate = current().restate
    env = {
        # A kernel asks for colours even where there is no terminal.
        **{name: value for name, value in os.environ.items() if name not in _COLOURS},
        **no_proxy(),
        "RESTATE_ADMIN_URL": restate.admin_url,
        "RESTATE_INGRESS_URL": restate.ingress_url,
        "RESTATE_CLI_CONFIG_HOME": str(created(state_dir() / "cli")),
        "PYTHONPATH": str(REPOSITORY),
        "CI": "1",  # asks nothing
        "NO_COLOR": "1",
        "TERM": "dumb",
        "DO_NOT_TRACK": "1",
    }
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    if "restate " in command:
        try:
            places.insert(0, str(install_cli().parent))
        except WorkbenchError as error:
            print(f"There is no `restate` command here: {str(error).splitlines()[0]}")
            command = _BULK.sub(_with_curl, command)
    env["PATH"] = os.pathsep.join(places)
    print(short_ids(f"$ {command}"))
    shell = shutil.which("bash") or "sh"  # a loop reads the same in both
    try:
        answer = subprocess.run(
            [shell, "-c", command],
            cwd=REPOSITORY,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise WorkbenchError(f"It took more than {_LIMIT:g} s: {command}") from None
    for line in _TIME.sub(r"\1 …", answer.stdout).splitlines():
        if line.strip():
            print(textwrap.fill(short_ids(line.rstrip()), WIDTH, break_on_hyphens=False))
    if answer.returncode:
        print(f"exit code {answer.returncode}")


def _with_curl(found: re.Match[str]) -> str:
    """The same bulk command as a loop of `curl`."""
    verb, target = found.groups()
    over = "=" if verb == "purge" else "<>"
    where = f"(id = '{target}' OR target = '{target}' OR target LIKE '{target}/%')"
    sql = f"SELECT id FROM sys_invocation WHERE {where} AND status {over} 'completed' LIMIT 500"
    query = f"curl -s $RESTATE_ADMIN_URL/query -H accept:application/json --json {_json(sql)}"
    one = f"curl -sX PATCH $RESTATE_ADMIN_URL/invocations/$id/{verb}"
    return f"{query} |\n  grep -o 'inv_[0-9A-Za-z]*' | while read id; do {one}; done"


def _json(sql: str) -> str:
    return '"' + f'{{"query": "{sql}"}}'.replace('"', '\\"') + '"'
