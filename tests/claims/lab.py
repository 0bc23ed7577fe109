"""A Restate server, and what the tests ask of it in SQL that the older versions know as well.

The handlers are served by the tests' own process, in one event loop, so the order of their notes is
the order in which things happened. A gate (`tests/gate.py`) holds a handler where a test wants it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
import restate as sdk
from restate import InvocationRetryPolicy

from workbench import (
    Admin,
    AdminError,
    Ingress,
    Restate,
    Served,
    WaitTimeout,
    serve_here,
    start_restate,
    wait_until,
)
from workbench.clients import sql_text
from workbench.lesson import stop_all
from workbench.state_dir import use_state_dir

Service = sdk.Service | sdk.VirtualObject

CANCELLED, KILLED = "[409] cancelled", "[409] killed"
BACKING_OFF = ("backing-off", "ready")
"""Waiting for the next attempt; with vqueues such an invocation is `ready`."""

HOUR = timedelta(hours=1)
SOON = 0.5
"""Seconds; what comes at once takes some hundredths of one."""

NOT_THERE = "not there: "


def not_there(what: str) -> NoReturn:
    """End a test: this server, or this SDK, does not have what the claim is about."""
    pytest.skip(NOT_THERE + what)


def retries(attempts: int, *, seconds: float = 0.01) -> InvocationRetryPolicy:
    """Retry so often, at even intervals, and pause then."""
    return InvocationRetryPolicy(
        initial_interval=timedelta(seconds=seconds),
        exponentiation_factor=1.0,
        max_attempts=attempts,
        on_max_attempts="pause",
    )


async def nothing() -> None:
    """A step without work."""


class Notes(list[str]):
    """What the handlers of a test did, in order."""

    def add(self, what: str) -> Callable[[], None]:
        """A step that notes that it ran."""
        return lambda: self.append(what)

    def wait(self, what: str, *, times: int = 1) -> None:
        wait_until(
            lambda: self.count(what) >= times, what=f"{what!r}, {times} times, among the notes"
        )


@dataclass
class Lab:
    """A server with a state folder of its own; `version` is None for the pinned one."""

    home: Path
    version: str | None
    restate: Restate
    admin: Admin
    ingress: Ingress

    @staticmethod
    @contextmanager
    def started(home: Path, version: str | None) -> Iterator[Lab]:
        """Start a server; in the end everything that was started in its folder has ended."""
        with use_state_dir(home):
            restate = start_restate("embedded", version=version, progress=_silent)
        try:
            with Admin(restate, echo=_silent) as admin, Ingress(restate, echo=_silent) as ingress:
                yield Lab(home, version, restate, admin, ingress)
        finally:
            with use_state_dir(home):
                stop_all()

    def crash(self) -> None:
        """Kill the server, start it again on the same data, and wait until it answers queries."""
        self.restate.kill()  # type: ignore[attr-defined]
        with use_state_dir(self.home):
            # The handle is one of a process: only the new one can kill what runs now.
            self.restate = start_restate("embedded", version=self.version, progress=_silent)

        def answers() -> bool:
            try:
                return bool(self.admin.query("SELECT count(*) AS n FROM sys_invocation"))
            except AdminError:  # for a moment, although the server says that it is healthy
                return False

        wait_until(answers, what="the server to answer again", timeout=20.0)

    @contextmanager
    def serving(self, *services: Service, name: str | None = None) -> Iterator[Served]:
        """Serve and register services; in the end they and their invocations are gone."""
        with serve_here(*services, name=name) as served:
            deployment = self.admin.register(served.uri, force=True)["id"]
            try:
                yield served
            finally:
                names = ", ".join(sql_text(service.name) for service in services)
                where = f"target_service_name IN ({names}) AND status != 'completed'"
                rows = self.admin.query(f"SELECT id FROM sys_invocation WHERE {where}")
                self.admin.end(row["id"] for row in rows)
                self.admin.delete(f"/deployments/{deployment}", force=True, allow=(404,))

    def row(self, id: str) -> dict[str, Any]:
        """The invocation's row of sys_invocation, without what is NULL; empty if there is none."""
        rows = self.admin.query(f"SELECT * FROM sys_invocation WHERE id = {sql_text(id)}")
        return rows[0] if rows else {}

    def outcome(self, id: str) -> str:
        """How an invocation ended (`success`, its failure, `no record`), or its status."""
        row = self.row(id)
        over = row.get("completion_failure") or row.get("completion_result")
        return str(over or row.get("status") or "no record")

    def wait(self, id: str, *statuses: str, timeout: float = 10.0) -> str:
        """Wait until an invocation has one of these statuses; its outcome comes back."""
        self.admin.wait_for(id, *statuses, timeout=timeout)
        return self.outcome(id)

    def over(self, id: str) -> bool:
        """Whether an invocation is over; one without a record is."""
        return bool(self.row(id).get("status", "completed") == "completed")

    def over_within(self, seconds: float, *ids: str) -> bool:
        """Whether invocations are over after so many seconds at most."""
        return happens(lambda: all(map(self.over, ids)), seconds)

    def children(self, id: str, *, count: int = 1) -> list[str]:
        """Wait until an invocation has called or sent so many; their ids, oldest first."""

        def found() -> list[str]:
            rows = self.admin.query(
                f"SELECT id FROM sys_invocation WHERE invoked_by_id = {sql_text(id)} "
                "ORDER BY created_at, id"
            )
            return [row["id"] for row in rows] if len(rows) >= count else []

        return wait_until(found, what=f"{count} calls")

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

    def wait_pause(self, id: str, number: int = 1) -> None:
        """Wait until an invocation was paused so often, or is over."""
        wait_until(
            lambda: self.pauses(id) >= number or self.over(id),
            what=f"pause number {number}, or the end",
        )
        if not self.over(id):
            self.admin.wait_for(id, "paused", "completed")

    def state(self, service: str, key: str) -> dict[str, str]:
        """An object's state, as text."""
        rows = self.admin.query(
            "SELECT key, value_utf8 FROM state "
            f"WHERE service_name = {sql_text(service)} AND service_key = {sql_text(key)}"
        )
        return {row["key"]: row["value_utf8"] for row in rows}


def happens(check: Callable[[], object], seconds: float) -> bool:
    """Whether something is so after so many seconds at most."""
    try:
        wait_until(check, what="it", timeout=seconds)
    except WaitTimeout:
        return False
    return True


def _silent(_: str) -> None:
    pass
