"""The journal of one invocation as its handler's code reads: one line for each thing that it did.

`show_journal` has an entry a line, as the engine keeps them; here a result stands with the command
that waited for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.sql import sql_text
from workbench.views.clock import milliseconds
from workbench.views.invocation_row import fetch, status
from workbench.views.journal import RESULT_NUMBERS, event_row, read_journal
from workbench.views.journal_entry import entry_parts, name_of, result_of
from workbench.views.step_words import arrival, step, waits_for
from workbench.views.table import print_table

if TYPE_CHECKING:
    from workbench.admin import Admin

__all__ = ["show_steps", "step_rows"]

_EPOCH = "1970-01-01T00:00:00Z"


def show_steps(admin: Admin, id: str) -> None:
    """Print the rows of `step_rows`, in at most 100 columns."""
    found = fetch(admin, f"id = {sql_text(id)}")
    what = f"{found[0]['target']} {id} · {status(found[0])}" if found else f"{id} · no record"
    print_table(
        f"Steps of {what}",
        [
            {
                "#": row["index"],
                "ms": row["ms"],
                "step": row["step"],
                "waited (ms)": _waited(row),
                "result": row["result"],
            }
            for row in step_rows(admin, id)
        ],
        widths={"step": 42},
        targets=["step"],
        right=["#", "ms"],
    )


def step_rows(admin: Admin, id: str) -> list[dict[str, Any]]:
    """Rows of `index`, `ms`, `step`, `waits for`, `waited`, `result`, in the journal's order.

    A row is a command, with the result that it has got since; or, where it came in between, a
    signal (`✕ cancelled here`), a failure or a pause (`index` None). `ms` counts from the
    invocation's creation. `waited` are the milliseconds from the command to its result, not the
    time that the handler stood still: it may have waited for several at once. It is None while
    there is no result, and for commands that wait for none (`waits for` None).
    """
    read = read_journal(admin, id)
    if read is None:
        return []
    created, entries, events = read
    parts = [entry_parts(entry) for entry in entries]
    targets = {
        fields["request"]["invocation_id"]: name_of(form, fields)
        for side, form, fields in parts
        if side == "Command" and "request" in fields
    }
    results = {
        fields["completion_id"]: (form, fields, entry["appended_at"])
        for (side, form, fields), entry in zip(parts, entries, strict=True)
        if side == "Notification" and "completion_id" in fields
    }
    rows: list[dict[str, Any]] = []
    for entry, (side, form, fields) in zip(entries, parts, strict=True):
        row = {
            "index": entry["index"],
            "ms": milliseconds(entry["appended_at"], created),
            "step": arrival(form, fields),
            "waits for": None,
            "waited": None,
            "result": None,
        }
        appended_ms = milliseconds(entry["appended_at"], _EPOCH) or 0
        if side == "Command":
            row["step"] = step(form, fields, targets, appended_ms=appended_ms)
            # A call's first number brings the callee's id, its last the callee's result.
            numbers = [fields[number] for number in RESULT_NUMBERS if number in fields]
            if numbers:
                row["waits for"] = waits_for(form)
                if numbers[-1] in results:
                    came, carried, at = results[numbers[-1]]
                    row["waited"] = milliseconds(at, entry["appended_at"])
                    row["result"] = result_of(came, carried, appended_ms=0)
            elif form != "Sleep":
                row["result"] = result_of(form, fields, appended_ms=appended_ms)
        elif row["step"] and form == "Signal":
            row["result"] = result_of(form, fields, appended_ms=appended_ms)
        if row["step"]:
            rows.append(row)
        rows += [
            _event(event_row(event, created))
            for event in events
            if event["after_journal_entry_index"] == entry["index"]
        ]
    return rows


def _event(event: dict[str, Any]) -> dict[str, Any]:
    step = {"! TransientError": "! attempt failed", "! Paused": "! paused"}
    where = f" in {event['name']}" if event["name"] and event["result"] else ""
    return {
        "index": None,
        "ms": event["ms"],
        "step": f"{step.get(event['entry'], event['entry'])}{where}",
        "waits for": None,
        "waited": None,
        "result": event["result"],
    }


def _waited(row: dict[str, Any]) -> str:
    """`812 for the callee`."""
    if row["waits for"] is None:
        return ""
    return f"{'…' if row['waited'] is None else row['waited']} for {row['waits for']}"
