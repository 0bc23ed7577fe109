"""When what happened in a tree of invocations, by the engine's own clock.

Who is told of a cancel when, who finishes when, and in which order they clean up: these three tell
whether a tree was taken down leaves first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.views.clock import instant, milliseconds
from workbench.views.invocation_row import fetch, in_list
from workbench.views.journal_entry import entry_parts, name_of
from workbench.views.picture import Picture, as_png, show_picture
from workbench.views.table import TIME_WIDTH, print_table
from workbench.views.timeline.drawn_tree import drawn_tree
from workbench.views.timeline.figure import timeline_figure
from workbench.views.timeline.spans import lane_trees
from workbench.views.timeline.text import timeline_text
from workbench.views.tree import tree_rows

if TYPE_CHECKING:
    from workbench.clients import Admin

_CANCEL = "Signal cancel"


def show_timeline(
    admin: Admin,
    *roots: str,
    caption: str,
    titles: Sequence[str] | None = None,
    between: tuple[int, int] | None = None,
    cleanup: bool = False,
) -> None:
    """Show the `timeline_picture` of one tree or several; with `cleanup`, also print the
    `cleanup_rows` of those where anything was cancelled.
    """
    show_picture(timeline_picture(admin, *roots, caption=caption, titles=titles, between=between))
    for root in roots if cleanup else ():
        if rows := cleanup_rows(admin, root):
            print_table(
                "What they did once the cancel had come",
                [{name: row[name] for name in ("ms", "target", "did")} for row in rows],
                widths={"target": 44, "ms": TIME_WIDTH},
                targets=["target", "did"],
                right=["ms"],
            )


def timeline_picture(
    admin: Admin,
    *roots: str,
    caption: str,
    titles: Sequence[str] | None = None,
    between: tuple[int, int] | None = None,
) -> Picture:
    """The trees below `roots`, below each other on one axis of time.

    The time is that since the first of the roots was created. Calls that only keep the books, such
    as `UsageMeter/record`, are left out. A title of `titles`, one for each root,
    goes ahead of what is said of the root. With `between`, two moments of the axis, only what
    happened between them is drawn: the few milliseconds in which a cancel spreads are lost in a
    long picture. `lifeline.py` says what the engine does not record, and so is not drawn.
    """
    if not roots or len(titles or roots) != len(roots):
        raise ValueError("one root or more, and as many titles")
    lanes = lane_trees(admin, roots)
    trees = [
        drawn_tree(tree, title=title)
        for tree, title in zip(lanes, titles or [""] * len(roots), strict=True)
    ]
    png = as_png(timeline_figure(trees, caption, between), cut=False)
    return Picture(png, timeline_text(trees, between), caption)


def timeline_rows(admin: Admin, root_id: str) -> list[dict[str, Any]]:
    """Rows of `id`, `parent`, `target`, `status`, `created`, `running`, `cancels`, `completed`.

    Their order, `branch` and `how` are those of `tree_rows`. Times are milliseconds since the root
    was created, None for what has not happened or left no record. `running` is the start of the
    first attempt; `cancels` are the arrivals of cancel signals in the journal, also of one that the
    handler has not read yet.
    """
    tree = tree_rows(admin, root_id)
    records = {row["id"]: row for row in fetch(admin, in_list("id", [row["id"] for row in tree]))}
    if root_id not in records:
        return []
    begin = records[root_id]["created_at"]
    entries = _entries(admin, tree)
    return [
        {
            **{name: node[name] for name in ("id", "parent", "branch", "target", "how", "status")},
            **{
                name: milliseconds(records.get(node["id"], {}).get(f"{name}_at"), begin)
                for name in ("created", "running", "completed")
            },
            "cancels": [
                milliseconds(entry["appended_at"], begin)
                for entry in entries
                if entry["id"] == node["id"] and entry["what"] == _CANCEL
            ],
        }
        for node in tree
    ]


def cleanup_rows(admin: Admin, root_id: str) -> list[dict[str, Any]]:
    """Rows of `ms`, `id`, `target`, `did`: what each invocation did after its first cancel signal.

    That is its compensations, in the order in which the engine recorded them, across the whole
    tree; with `SendSignal cancel → Service/handler`, the passing on of the cancel. The output that
    ends a journal is left out.
    """
    tree = tree_rows(admin, root_id)
    root = fetch(admin, in_list("id", [root_id]))
    targets = {row["id"]: row["target"] for row in tree}
    cancelled: set[str] = set()
    rows = []
    for entry in _entries(admin, tree):
        if entry["what"] == _CANCEL:
            cancelled.add(entry["id"])
        elif entry["id"] in cancelled and entry["side"] == "Command" and entry["form"] != "Output":
            told = targets.get(entry["told"])
            rows.append(
                {
                    "ms": milliseconds(entry["appended_at"], root[0]["created_at"]),
                    "id": entry["id"],
                    "target": targets[entry["id"]],
                    "did": f"{entry['what']} → {told}" if told else entry["what"],
                }
            )
    return rows


def _entries(admin: Admin, tree: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The journals of a tree in one, by time; within a millisecond, callers before callees."""
    rows = admin.query(
        "SELECT id, index, entry_json, appended_at FROM sys_journal "
        f"WHERE {in_list('id', [row['id'] for row in tree])}",
        echo=False,
    )
    position = {row["id"]: number for number, row in enumerate(tree)}
    rows.sort(key=lambda row: (instant(row["appended_at"]), position[row["id"]], row["index"]))
    for row in rows:
        row["side"], row["form"], fields = entry_parts(row)
        row["told"] = fields.get("target_invocation_id")
        row["what"] = f"{row['form']} {name_of(row['form'], fields)}".strip()
    return rows
