"""What every lesson begins with: a server, a model, and a client for each side of the server."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from workbench import loopback
from workbench.clients import Admin, Ingress, sql_text
from workbench.model_client import ScriptedModel, start_scripted_model
from workbench.restate import Restate, start_restate
from workbench.restate.cluster import start_cluster
from workbench.state_dir import WorkbenchError

__all__ = ["LESSON", "Bench", "current", "up"]

LESSON = {"workbench": "lesson"}
"""Metadata of a deployment that a lesson's kernel serves: it is over when the kernel is gone."""


class Bench(NamedTuple):
    """What `up()` returns."""

    restate: Restate
    model: ScriptedModel
    admin: Admin
    ingress: Ingress


_bench: Bench | None = None


def up(*, cluster: bool = False) -> Bench:
    """Start Restate and the scripted model, or find them running; print where they are.

    With `cluster`, Restate is three servers behind one address.

    Invocations of lessons whose kernel is gone could never end: they are killed. Raises what
    `start_restate`, `start_cluster` and `start_scripted_model` raise.
    """
    global _bench
    restate: Restate = start_cluster() if cluster else start_restate()
    model = start_scripted_model()
    if _bench is None or _bench.restate.admin_url != restate.admin_url:
        _bench = Bench(restate, model, Admin(restate), Ingress(restate))
    _bench = _bench._replace(restate=restate, model=model)
    _sweep(_bench.admin)
    print(restate, model, sep="\n")
    return _bench


def current() -> Bench:
    """What `up()` last returned here. Raises WorkbenchError before that."""
    if _bench is None:
        raise WorkbenchError("Nothing is started yet: run the lesson's first cell, wb.up().")
    return _bench


def _sweep(admin: Admin) -> None:
    """Kill what is pinned to a listener that an earlier kernel had, and end its deployments."""
    for deployment in admin.request("GET", "/deployments", echo=False)["deployments"]:
        is_lesson = deployment.get("metadata") == LESSON
        if not is_lesson or not loopback.is_free(urlsplit(deployment["uri"]).port or 0):
            continue
        where = f"pinned_deployment_id = {sql_text(deployment['id'])} AND status <> 'completed'"
        rows = admin.query(f"SELECT id FROM sys_invocation WHERE {where}", echo=False)
        admin.end(row["id"] for row in rows)
        admin.request(
            "DELETE", f"/deployments/{deployment['id']}?force=true", allow={404}, echo=False
        )
