"""Deploys what a lesson defines: each version of the code is a deployment of its own.

All services of a kernel share one listener. A version lives below a path that is named after its
source, such as `http://127.0.0.1:41233/62ff9a45`, so a cell that is changed and run again makes a
new deployment, and what runs on the old one goes on there. Only where a lesson asks for it is an
address used again.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from workbench.bench import LESSON, current
from workbench.model_client import Provider, ScriptedModel
from workbench.program import AgentProcess, start_agent
from workbench.serve import Served, serve_app

if TYPE_CHECKING:
    from restate import Service, VirtualObject

# A reader may take long over a held step. After Restate's one minute such a step would be deaf, and
# the agent would give up on a model that is silent for so long.
_PATIENCE = timedelta(days=1)
PATIENT = {
    f"AGENT_{name}_TIMEOUT": f"{_PATIENCE.total_seconds():.0f}"
    for name in ("FIRST_TOKEN", "STALL", "CALL", "CANCEL")
}
"""The agent's settings for answers that are held for long."""

_versions: dict[str, Any] = {}
_served: Served | None = None


class Deployment(str):
    """A deployment's id. A cell that ends with one does not print it: it says nothing."""

    def _ipython_display_(self) -> None:
        pass


def serve(*services: Service | VirtualObject, at: str | None = None) -> Deployment:
    """Serve `services` from this kernel and register them; return the deployment's id.

    Unless a service says otherwise, its steps may take a day. `at` is a path in place of the
    version's own: what was served there before is replaced, and all attempts break off, as where a
    process is stopped and a newer one started. Raises AdminError if Restate refuses the services.
    """
    import restate as sdk

    bench = current()
    # It writes a traceback for each attempt that fails; the journal tells the same in one line.
    logging.getLogger("restate").setLevel(logging.CRITICAL)
    for service in services:
        service.inactivity_timeout = service.inactivity_timeout or _PATIENCE
        service.abort_timeout = service.abort_timeout or _PATIENCE
    version = at or hashlib.sha256("\n".join(map(_source, services)).encode()).hexdigest()[:8]
    is_known = version in _versions
    if at and is_known:
        stop_serving()
    keys = list(bench.restate.identity_keys) or None
    _versions[version] = sdk.app(services, identity_keys=keys)
    # A version that is registered again has to be asked, to become the latest once more.
    uri = f"{_listen().uri}/{version}"
    return Deployment(bench.admin.register(uri, force=is_known, metadata=LESSON)["id"])


def serve_agent(
    model: ScriptedModel | Provider | None = None, *, env: Mapping[str, str] | None = None
) -> AgentProcess:
    """Start `python -m agent` with patience for held answers, and register it.

    It talks to the scripted model unless told otherwise. `env` is added to its environment. Raises
    what `start_agent` and `Admin.register` raise.
    """
    bench = current()
    agent = start_agent(bench.restate, model or bench.model, env={**PATIENT, **(env or {})})
    bench.admin.register(agent.uri, force=True)
    return agent


def cut_off() -> None:
    """Stop serving, and serve again: every attempt that is under way breaks off, as in a crash.

    It can be called from a handler, too: it happens in a thread of its own.
    """

    def restart() -> None:
        if _served is not None:
            stop_serving()
            _listen()

    threading.Thread(target=restart, name="cut off").start()


def stop_serving() -> None:
    """Take the lesson's services away, as if their process had died; `serve` brings them back."""
    if _served is not None:
        _served.stop()


def _listen() -> Served:
    global _served
    if _served is None or not _served.alive:
        port = _served.port if _served else None
        _served = serve_app(_answer, name="lesson", port=port, restate=current().restate)
    return _served


async def _answer(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await _versions[scope["path"].split("/")[1]](scope, receive, send)


def _source(service: Service | VirtualObject) -> str:
    handlers = [inspect.unwrap(handler.fn) for handler in service.handlers.values()]
    return "\n".join([service.name, *map(inspect.getsource, handlers)])
