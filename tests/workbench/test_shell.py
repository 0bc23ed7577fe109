"""Commands of a shell, as a lesson prints them; with Restate's CLI, and without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

import pytest

from workbench import shell
from workbench.bench import Bench
from workbench.clients import Admin, Ingress
from workbench.model_client import ScriptedModel
from workbench.restate import VERSION, Restate
from workbench.shell import sh
from workbench.state_dir import WorkbenchError

Printed = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def bench(restate: Restate, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with Admin(restate) as admin, Ingress(restate) as ingress:
        bench = Bench(restate, ScriptedModel.__new__(ScriptedModel), admin, ingress)
        monkeypatch.setattr(shell, "current", lambda: bench)
        yield


def test_a_command_and_what_came_of_it(capsys: Printed) -> None:
    sh("curl -s $RESTATE_ADMIN_URL/version | grep -o '1[.][0-9.]*' | head -n 1; exit 3")
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("$ curl -s $RESTATE_ADMIN_URL/version | grep")
    assert rest == [VERSION, "exit code 3"]


def test_the_cli_is_of_the_servers_version_and_says_the_same_each_time(capsys: Printed) -> None:
    sh("restate --version | cut -d ' ' -f 2; restate sql 'SELECT 1 AS one'")
    assert capsys.readouterr().out.splitlines()[1:] == [
        VERSION,
        " ONE",
        " 1",
        "1 rows. Query took …",
    ]


def test_without_the_cli_a_bulk_command_is_a_loop_of_curl(
    capsys: Printed, admin: Admin, ingress: Ingress, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> NoReturn:
        raise WorkbenchError("npm could not install it.\nMend that.")

    monkeypatch.setattr(shell, "install_cli", missing)
    id = ingress.send("Box", "put", "later", key=key, delay=3600)
    other = ingress.send("Box", "put", "later", key=f"{key}-other", delay=3600)
    sh(f"restate invocations cancel Box/{key} | tail -n 1")
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == "There is no `restate` command here: npm could not install it."
    assert second.startswith("$ curl -s $RESTATE_ADMIN_URL/query")
    left = admin.query(f"SELECT id FROM sys_invocation WHERE id IN ('{id}', '{other}')")
    assert [row["id"] for row in left] == [other]
    admin.cancel(other)
