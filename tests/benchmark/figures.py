"""Tables, and what a reader must know of the machine."""

from __future__ import annotations

import os
import platform

from tabulate import tabulate

from tests.stack import Stack


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
