"""What there is to say of a run besides its outcomes: when it was, and of which versions."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import datetime

from workbench.series.outcome import Outcome


def facts(started: datetime) -> dict[str, str]:
    """What is known from the start, for every report; `started` in UTC."""
    return {
        "started": f"{started:%Y-%m-%d %H:%M} UTC",
        "RESTATE_MODE": os.environ.get("RESTATE_MODE") or "auto",
        "Python": platform.python_version(),
    }


def servers(outcomes: Sequence[Outcome]) -> str:
    """The Restate servers that the lessons have used."""
    seen = sorted({str(outcome.server) for outcome in outcomes if outcome.server})
    return ", ".join(seen) or "none was started"
