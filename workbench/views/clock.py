"""Restate timestamps as milliseconds since a start, so that runs compare."""

from __future__ import annotations

from datetime import datetime


def instant(time: str) -> datetime:
    """A time as the engine writes it (`2026-11-22T14:43:38.829Z`).

    The engine leaves the fraction out of whole seconds, so the texts themselves have another order.
    """
    return datetime.fromisoformat(time.replace("Z", "+00:00"))  # Python 3.10 does not read the Z


def milliseconds(time: str | None, since: str) -> int | None:
    """From `since` to `time`, both as the engine writes them; None where there is no `time`."""
    if time is None:
        return None
    return round((instant(time) - instant(since)).total_seconds() * 1000)
