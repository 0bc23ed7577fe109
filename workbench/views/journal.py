"""The journal of one invocation: every step that Restate holds of it, every failure in between.

Commands are what the handler did; notifications, marked ←, are what came in: results, signals.
Failures and pauses are no part of the journal proper (`sys_journal_events`), and are shown where
they happened.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from workbench.clients import sql_text
from workbench.views.invocation_row import fetch, instant, status
from workbench.views.journal_entry import (
    entry_parts,
    name_of,
    result_of,
)
from workbench.views.table import print_table

if TYPE_CHECKING:
    from workbench.clients import Admin

# Under which numbers a command's results arrive; a notification has the first of the two.
_RESULT_NUMBERS = ("completion_id", "result_completion_id")


def show_journal(admin: Admin, id: str, *, folded: bool = False) -> None:
    """Print the rows of `journal_rows`, in at most 100 columns.

    `folded`: a command and its result are one row. Left out are the `CallInvocationId`
    notifications, one for every call: they bring the id of the callee, which the call shows
    already.
    """
    found = fetch(admin, f"id = {sql_text(id)}")
    what = f"{found[0]['target']} {id} · {status(found[0])}" if found else f"{id} · no record"
    shown = [row for row in journal_rows(admin, id) if row["entry"] != "← CallInvocationId"]
    if folded:
        results = {(row["entry"], row["name"]): row["result"] for row in shown}
        for row in shown:
            row["result"] = row["result"] or results.get((f"← {row['entry']}", row["name"]))
        commands = {(f"← {row['entry']}", row["name"]) for row in shown}
        shown = [row for row in shown if (row["entry"], row["name"]) not in commands]
    print_table(
        f"Journal of {what}",
        [
            {
                "#": row["index"],
                "entry": row["entry"],
                "name": row["name"],
                "done": {True: "yes", False: "no", None: ""}[row["done"]],
                "result": row["result"],
            }
            for row in shown
        ],
        widths={"name": 34},
        targets=["name"],
        right=["#"],
    )


def journal_rows(admin: Admin, id: str) -> list[dict[str, Any]]:
    """Rows of `index`, `entry`, `name`, `done`, `result`, in the journal's order.

    `entry` is the kind of a command (`Run`), of a
    notification (`← Run`, with the name of the command that it completes), or of an event (`!
    TransientError`, without an index). `done` says of a command that waits for a result whether
    that has come, and is None for others. `result` is the decoded value, `[409] cancelled` for a
    failure, the callee's id for a call. The engine does not record an event that repeats the one
    before: events do not count the attempts.
    """
    entries, events = _read_journal(admin, id)
    parts = [entry_parts(entry) for entry in entries]
    names = {
        fields[number]: name_of(form, fields)
        for side, form, fields in parts
        if side == "Command"
        for number in ("invocation_id_completion_id", *_RESULT_NUMBERS)
        if number in fields
    }
    arrived = {fields.get("completion_id") for side, _, fields in parts if side == "Notification"}
    rows: list[dict[str, Any]] = []
    for entry, (side, form, fields) in zip(entries, parts, strict=True):
        command = side == "Command"
        awaited = [fields[number] for number in _RESULT_NUMBERS if number in fields]
        rows.append(
            {
                "index": entry["index"],
                "entry": form if command else f"← {form}",
                "name": name_of(form, fields) if command or not awaited else names[awaited[0]],
                "done": arrived.issuperset(awaited) if command and awaited else None,
                "result": result_of(form, fields, appended=instant(entry["appended_at"])),
            }
        )
        rows += [
            _event_row(event)
            for event in events
            if event["after_journal_entry_index"] == entry["index"]
        ]
    return rows


def _read_journal(admin: Admin, id: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The entries and the events of an invocation; none where there is no journal."""
    entries = admin.query(
        "SELECT index, entry_json, appended_at FROM sys_journal "
        f"WHERE id = {sql_text(id)} ORDER BY index",
        echo=False,
    )
    if not entries:
        return [], []
    events = admin.query(
        "SELECT after_journal_entry_index, event_type, event_json, appended_at "
        f"FROM sys_journal_events WHERE id = {sql_text(id)} "
        "ORDER BY after_journal_entry_index, appended_at",
        echo=False,
    )
    return entries, events


def _event_row(event: dict[str, Any]) -> dict[str, Any]:
    """An event of `_read_journal` as a row of `journal_rows`."""
    said = json.loads(event["event_json"])
    # A pause by hand has no failure.
    failure = said.get("last_failure", {}) if event["event_type"] == "Paused" else said
    where = failure.get("related_command_name") or failure.get("related_command_type")
    what = [f"[{failure['error_code']}] {failure['error_message']}"] if failure else []
    codes = [code] if (code := failure.get("restate_doc_error_code")) else []
    return {
        "index": None,
        "entry": f"! {event['event_type']}",
        "name": where or "",
        "done": None,
        "result": " · ".join([*codes, *what]) or None,
    }
