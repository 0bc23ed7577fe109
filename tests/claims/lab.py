"""A Restate server, and what probes ask of it in SQL that the older versions know as well."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import restate as sdk

from workbench import (
    Admin,
    Ingress,
    Restate,
    Served,
    WaitTimeout,
    serve_here,
    start_restate,
    tree_rows,
    wait_until,
)
from workbench.sql import sql_text
from workbench.state_dir import use_state_dir
from workbench.stop_all import stop_all

_Service = sdk.Service | sdk.VirtualObject

CANCELLED = "[409] cancelled"
KILLED = "[409] killed"


def _silent(_: str) -> None:
    pass


@dataclass
class Lab:
    """A server in a home of its own; `version` is None for the one that the series is written
    against.
    """

    home: Path
    version: str | None
    restate: Restate
    admin: Admin
    ingress: Ingress

    @staticmethod
    @contextmanager
    def started(home: Path, version: str | None) -> Iterator[Lab]:
        """Start a server; all that was started in its home is ended in the end.

        The home is that of the process only while something is started or ended.
        """
        with use_state_dir(home):
            restate = start_restate("embedded", version=version, progress=_silent)
        try:
            with Admin(restate, echo=_silent) as admin, Ingress(restate, echo=_silent) as ingress:
                yield Lab(home, version, restate, admin, ingress)
        finally:
            with use_state_dir(home):
                stop_all()

    @contextmanager
    def serving(self, *services: _Service, name: str | None = None) -> Iterator[Served]:
        """Serve and register services; in the end they and their invocations are gone."""
        with serve_here(*services, name=name) as served:
            deployment = self.admin.register(served.uri, force=True)["id"]
            try:
                yield served
            finally:
                self._end([service.name for service in services])
                self.admin.delete(f"/deployments/{deployment}", force=True, allow=(404,))

    def row(self, id: str) -> dict[str, Any]:
        """The invocation's row of sys_invocation, without what is NULL; empty if there is none."""
        rows = self.admin.query(f"SELECT * FROM sys_invocation WHERE id = {sql_text(id)}")
        return rows[0] if rows else {}

    def outcome(self, id: str) -> str:
        """How an invocation stands, or how it ended: its status, `success`, its failure, or `no
        record`.
        """
        row = self.row(id)
        over = row.get("completion_failure") or row.get("completion_result")
        return str(over or row.get("status") or "no record")

    def wait(self, id: str, *statuses: str, timeout: float = 10.0) -> str:
        """Wait until an invocation has one of these statuses; its outcome comes back."""
        self.admin.wait_for(id, *statuses, timeout=timeout)
        return self.outcome(id)

    def over_within(self, id: str, seconds: float) -> bool:
        """Whether an invocation is over after so many seconds at most; one without a record is."""
        try:
            wait_until(
                lambda: self.row(id).get("status", "completed") == "completed",
                what="the end",
                timeout=seconds,
            )
        except WaitTimeout:
            return False
        return True

    def children(self, id: str, handler: str = "") -> list[str]:
        """The ids of what an invocation has called or sent, oldest first."""
        rows = self.admin.query(
            f"SELECT id FROM sys_invocation WHERE invoked_by_id = {sql_text(id)} "
            f"AND target LIKE {sql_text('%' + handler)} ORDER BY created_at, id"
        )
        return [row["id"] for row in rows]

    def how(self, id: str, handler: str) -> list[str]:
        """How an invocation has started what it has of a handler: by a `call`, or `one-way`."""
        rows = tree_rows(self.admin, id)
        return [
            row["how"] for row in rows if row["parent"] == id and row["target"].endswith(handler)
        ]

    def wait_children(self, id: str, handler: str = "", *, count: int = 1) -> list[str]:
        """Wait until an invocation has called so many."""
        return wait_until(
            lambda: found if len(found := self.children(id, handler)) >= count else [],
            what=f"{count} calls of {handler or 'any handler'}",
        )

    def entries(self, id: str) -> list[str]:
        """The types of an invocation's journal entries, in their order."""
        rows = self.admin.query(
            f"SELECT entry_type FROM sys_journal WHERE id = {sql_text(id)} ORDER BY index"
        )
        return [row["entry_type"] for row in rows]

    def cancels(self, id: str) -> int:
        """How many signals are in an invocation's journal: those that it was cancelled with."""
        return self.entries(id).count("Notification: Signal")

    def pauses(self, id: str) -> int:
        """How often an invocation was paused."""
        return len(
            self.admin.query(
                f"SELECT event_type FROM sys_journal_events WHERE id = {sql_text(id)} "
                "AND event_type = 'Paused'"
            )
        )

    def state(self, service: str, key: str) -> dict[str, str]:
        """An object's state, as text."""
        rows = self.admin.query(
            "SELECT key, value_utf8 FROM state "
            f"WHERE service_name = {sql_text(service)} AND service_key = {sql_text(key)}"
        )
        return {row["key"]: row["value_utf8"] for row in rows}

    def _end(self, services: list[str]) -> None:
        names = ", ".join(sql_text(name) for name in services)
        for row in self.admin.query(
            f"SELECT id FROM sys_invocation WHERE target_service_name IN ({names}) "
            "AND status != 'completed'"
        ):
            self.admin.patch(f"/invocations/{row['id']}/kill", allow=(404, 409))
