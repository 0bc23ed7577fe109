"""Percentiles, tables, and what a reader must know of the machine."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Sequence

from tabulate import tabulate

from tests.stack import Stack


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest rank: the smallest value that `share` of all values do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def percentiles(seconds: Sequence[float]) -> str:
    """p50 / p95 / p99 in ms."""
    if not seconds:
        return "–"
    return " / ".join(f"{percentile(seconds, p) * 1000:,.0f}" for p in (0.5, 0.95, 0.99))


def markdown(rows: list[dict[str, str]], *, names: int = 1) -> str:
    """A Markdown table; the rows' keys are its headings, and all but the first few are numbers."""
    alignment = ["left" if column < names else "right" for column in range(len(rows[0]))]
    return tabulate(
        rows, headers="keys", tablefmt="pipe", disable_numparse=True, colalign=alignment
    )


def conditions(stack: Stack) -> str:
    """Where it was measured; the load is that of the last minute, the benchmark's own included."""
    return (
        f"{os.cpu_count()} cores ({platform.system()} {platform.machine()}), Python "
        f"{platform.python_version()}, Restate {stack.restate.version} (embedded), "
        f"load average {os.getloadavg()[0]:.1f} at the end."
    )
