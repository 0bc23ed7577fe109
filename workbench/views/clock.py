"""The engine's times as milliseconds since a beginning: unlike clock times, alike in every run."""

from __future__ import annotations

from datetime import datetime


def milliseconds(time: str | None, since: str) -> int | None:
    """From `since` to `time`, both as the engine writes them (`2026-11-22T14:43:38.829Z`)."""
    if time is None:
        return None
    return round((_parsed(time) - _parsed(since)).total_seconds() * 1000)


def _parsed(time: str) -> datetime:
    # Python 3.10 does not read the Z. The engine leaves the fraction out of whole seconds.
    return datetime.fromisoformat(time.replace("Z", "+00:00"))
