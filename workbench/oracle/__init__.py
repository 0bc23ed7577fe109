"""The oracle: what is wrong with a session of any agent that keeps the wire contract."""

from __future__ import annotations

from collections.abc import Iterable

from workbench.oracle.invariants import CHECKS
from workbench.oracle.log import Log
from workbench.oracle.snapshot import Server, Snapshot, take_snapshot
from workbench.scripted_model.requests import ModelRequest


def violations(
    ingress_url: str,
    admin_url: str,
    session: str,
    log: Log,
    requests: Iterable[ModelRequest],
    *,
    agent: str = "CodingAgent",
) -> list[str]:
    """What is wrong with a session, in sentences; empty if nothing is.

    To be asked when nothing is at work any more. The agent is asked `get_turns`, `get_status` and
    `get_history`, the admin API what became of its tasks and of what these have called.

    Args:
        session: the key.
        log: what was sent and done to the session, with the answers.
        requests: what the scripted model reports of this session, oldest first. A request's label
            (its header `X-Client-Request-Id`) is `session/turn/step`.
        agent: the name of the virtual object.
    """
    server = Server(ingress_url, admin_url)
    return wrong_with(take_snapshot(server, session, log, requests, agent))


def wrong_with(snapshot: Snapshot) -> list[str]:
    """What is wrong with a session that was looked at."""
    return [*snapshot.log.wrong, *(wrong for check in CHECKS for wrong in check(snapshot))]
