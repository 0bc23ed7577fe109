"""What the checks of exercises look with: from outside, once nothing moves any more."""

from __future__ import annotations

import asyncio
import copy
import inspect
import re
import time
import types
from collections.abc import Sequence
from typing import Any

from workbench.bench import Bench
from workbench.clients import Admin, sql_text
from workbench.views.journal import journal_rows

__all__ = [
    "EnoughError",
    "count",
    "fresh",
    "ids_of",
    "last_error",
    "settle",
    "steps",
    "watched",
]

_STILL = 0.4
_LIMIT = 10.0
_FAILURES = ("! TransientError", "! Paused")
_BROKEN_OFF = ("RT0001", "RT0010")  # what a check does itself: `cut_off`


class EnoughError(asyncio.CancelledError):
    """An answer goes round in circles. None of its `except`s catches this."""


def settle(bench: Bench, services: Sequence[str], *, sleepers: bool = True) -> None:
    """Wait until the invocations of `services` move no more; at most 10 s.

    What is held stands still. With `sleepers`, what sleeps is waited for, too. It is not
    an error if something goes on for ever.
    """
    names = ", ".join(map(sql_text, services))
    began = since = time.monotonic()
    before: object = None
    while time.monotonic() - began < _LIMIT:
        seen = bench.admin.query(
            "SELECT i.id, i.status, count(j.index) AS entries, "
            "sum(CASE WHEN j.entry_type = 'Command: Sleep' THEN 1 "
            "WHEN j.entry_type = 'Notification: Sleep' THEN -1 ELSE 0 END) AS sleeps "
            "FROM sys_invocation i LEFT JOIN sys_journal j ON j.id = i.id "
            f"WHERE i.target_service_name IN ({names}) AND i.status <> 'completed' "
            "GROUP BY i.id, i.status ORDER BY i.id",
            echo=False,
        )
        if seen != before or (sleepers and any(row.get("sleeps") for row in seen)):
            before, since = seen, time.monotonic()
        elif time.monotonic() - since > _STILL:
            return
        time.sleep(0.05)


def steps(admin: Admin, id: str) -> list[str]:
    """The names of the steps in the journal of an invocation, in order."""
    return [row["name"] for row in journal_rows(admin, id) if row["entry"] == "Run"]


def fresh(answer: Any) -> Any:
    """`answer` as each attempt of another process has it.

    What one call of it keeps in global names, dicts, lists and sets, the next one does not find.
    """
    if not inspect.isfunction(answer):
        return answer
    names = {name: answer.__globals__.get(name) for name in answer.__code__.co_names}
    kept = {name: copy.copy(it) for name, it in names.items() if isinstance(it, dict | list | set)}

    def attempt(*args: Any) -> Any:
        mine = {**answer.__globals__, **{name: copy.copy(it) for name, it in kept.items()}}
        code, defaults, closure = answer.__code__, answer.__defaults__, answer.__closure__
        return types.FunctionType(code, mine, answer.__name__, defaults, closure)(*args)

    return attempt


def ids_of(admin: Admin, services: str, *, only_open: bool = False) -> list[str]:
    """The ids of the invocations of services whose names begin with `services`, newest first."""
    still = " AND status <> 'completed'" if only_open else ""
    rows = admin.query(
        f"SELECT id FROM sys_invocation WHERE target_service_name LIKE '{services}%'{still} "
        "ORDER BY created_at DESC",
        echo=False,
    )
    return [row["id"] for row in rows]


def last_error(admin: Admin, ids: Sequence[str]) -> str:
    """What the newest of these invocations (newest first) that raised anything raised last.

    Empty if none did. An attempt that only broke off does not count.
    """
    for id in ids:
        for row in reversed(journal_rows(admin, id)):
            said = str(row["result"] or "")
            if row["entry"] in _FAILURES and said and not said.startswith(_BROKEN_OFF):
                plain = said.removeprefix("RT0007 · ").removeprefix("[500] ")  # of any error
                return re.sub(" at 0x[0-9a-f]+", "", plain)
    return ""


def count(asked: list[str]) -> None:
    """Add to `asked`. Raises EnoughError when that was often."""
    asked.append("?")
    if len(asked) > 50:
        raise EnoughError


def watched(future: Any, asked: list[str]) -> Any:
    """The same future, but whoever asks it again and again is stopped, with EnoughError."""
    kind = type(future)

    def is_completed(self: Any) -> Any:
        count(asked)
        return kind.is_completed(self)

    def wait(self: Any) -> Any:
        count(asked)
        return kind.__await__(self)

    future.__class__ = type(
        kind.__name__, (kind,), {"is_completed": is_completed, "__await__": wait}
    )
    return future
