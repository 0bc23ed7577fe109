"""The statuses that one invocation went through, as far as the engine keeps them.

Its record has when it was created, scheduled, queued, first run and completed; the events beside
its journal have failures and pauses. The rest shows only in what the handler did next: an attempt
that follows a failure or a pause has begun before its first new entry in the journal.

Not known, and so not told:

- suspensions that are over: neither the record nor the journal keeps them;
- how often an invocation that was backing off has tried again without getting on: an attempt that
  fails as the one before leaves nothing;
- `ready`, which an invocation has for a moment before each attempt, once it is over;
- anything but the record's own times, once the journal is purged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.clients import sql_text
from workbench.views.clock import milliseconds
from workbench.views.invocation_row import status
from workbench.views.journal import journal_rows

if TYPE_CHECKING:
    from workbench.clients import Admin

__all__ = ["lifecycle_rows"]

# Commands, but for the input, and the results of its own steps are a handler's: where there is one,
# an attempt was under way.
_INPUT, _OWN_RESULT = "Input", "← Run"


def lifecycle_rows(admin: Admin, id: str) -> list[dict[str, Any]]:
    """Rows of `status`, `ms`, `exact`, `why`: the statuses of an invocation, in their order.

    `status` is as in `invocation_rows`. `ms` is when it began, in milliseconds since the
    invocation was created; where `exact` is False it began at that time or before, and where `ms`
    is None that is not known at all. `backing-off` stands for the whole time from a failure until
    the handler gets on, the attempts in between included. What cannot be known is listed in this
    module's docstring: above all, suspensions that are over. No rows if there is no record.
    """
    found = admin.query(f"SELECT * FROM sys_invocation WHERE id = {sql_text(id)}", echo=False)
    if not found:
        return []
    record: dict[str, Any] = found[0]
    path = _Path(record)
    for column, name, why in (
        ("scheduled_at", "scheduled", "sent with a delay"),
        ("inboxed_at", "pending", "its key is held by another invocation"),
        ("running_at", "running", "first attempt"),
    ):
        # Under vqueues a call without a key is `pending` too, for the moment until it is scheduled.
        is_moment = name == "pending" and record.get("target_service_ty") == "service"
        if column in record and not is_moment:
            path.add(name, path.since_creation(record[column]), why)
    for entry in sorted(journal_rows(admin, id), key=lambda row: row["ms"]):
        if entry["ms"] >= 0:  # the others were copied here by a restart
            path.see(entry)
    path.end()
    return path.rows


class _Path:
    """Rows of an invocation's statuses, as they are found."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.rows: list[dict[str, Any]] = []
        self._record = record
        self._cancels: list[int] = []

    def since_creation(self, time: str | None) -> int | None:
        return milliseconds(time, self._record["created_at"])

    @property
    def _now(self) -> str:
        return self.rows[-1]["status"] if self.rows else ""

    def add(self, status: str, ms: int | None, why: str, *, exact: bool = True) -> None:
        self.rows.append({"status": status, "ms": ms, "exact": exact, "why": why})

    def see(self, entry: dict[str, Any]) -> None:
        """Draw the conclusions from a row of `journal_rows`."""
        ms, kind = entry["ms"], entry["entry"]
        if kind == "! TransientError":
            self._goes_on(ms, paused_only=True)
            if self._now != "backing-off":
                self.add("backing-off", ms, _failure(entry))
        elif kind == "! Paused":
            self._goes_on(ms, paused_only=True)
            failure = _failure(entry)
            self.add("paused", ms, f"out of attempts: {failure}" if failure else "by hand")
        elif kind == "← Signal" and entry["name"] == "cancel":
            self._cancels.append(ms)
            if self._now == "paused":
                self.add("running", ms, "woken by a cancel signal")
        elif kind == _OWN_RESULT or not (kind == _INPUT or kind[0] in "←!"):
            self._goes_on(ms)

    def _goes_on(self, ms: int, *, paused_only: bool = False) -> None:
        """An attempt was under way at `ms`."""
        if self._now == "paused":
            self.add("running", ms, "resumed", exact=False)
        elif self._now == "backing-off" and not paused_only:
            self.add("running", ms, "another attempt got on", exact=False)

    def end(self) -> None:
        """Add the status that the record has now, if it is not the last one already."""
        now, record = self._record["status"], self._record
        if now == "completed":
            self.add(_completed(record), self.since_creation(record["completed_at"]), self._why())
        elif now == "running" and self._now != now:
            self.add(now, self.since_creation(record.get("last_start_at")), "another attempt")
        elif now == "suspended":
            ms = self.since_creation(record["modified_at"])
            self.add(now, ms, "nothing to do but wait", exact=False)
        elif self._now != now:
            self.add(now, None, "", exact=False)

    def _why(self) -> str:
        failure = self._record.get("completion_failure", "")
        times = " and ".join(f"{ms} ms" for ms in self._cancels)
        if failure.startswith("[409] killed"):
            return "killed: its handler was not asked"
        if failure.startswith("[409] cancel") and times:
            return f"its handler read the cancel signal that came at {times}"
        end = "its handler raised a TerminalError" if failure else "its handler returned"
        return f"{end}; a cancel signal had come at {times}" if times else end


def _failure(entry: dict[str, Any]) -> str:
    """What an event says of the failure; nothing for a pause by hand."""
    where = f" in {entry['name']}" if entry["name"] else ""
    return f"{entry['result']}{where}" if entry["result"] else ""


def _completed(record: dict[str, Any]) -> str:
    return status({"completion_result": None, "completion_failure": None, **record})
