"""The least that a run could take: what its lessons wait for the model, and a kernel for each.

Everything above it (servers that start, the engine's own work, drawing, waiting) is ours to spare.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import httpx

from workbench.series.outcome import Outcome

__all__ = ["floor_line", "model_seconds"]


def model_seconds(home: Path, *, since: float) -> float:
    """How long the scripted model of a job's `home` was at work on any request after `since`.

    `since` is in Unix seconds. 0 where it has not run, as with a provider.
    """
    try:
        port = int((home / "model.port").read_text())
        answer = httpx.get(f"http://127.0.0.1:{port}/control/requests", trust_env=False)
        requests = answer.raise_for_status().json()
    except (OSError, ValueError, httpx.HTTPError):  # it is gone, or has never been there
        return 0.0
    spans = ((one["started_at"], one["ended_at"]) for one in requests if one["ended_at"])
    return _union((max(start, since), end) for start, end in spans if end > since)


def floor_line(outcomes: Sequence[Outcome], *, jobs: int, seconds: float) -> str:
    """What the run took, beside its floor."""
    model = sum(outcome.model_seconds for outcome in outcomes)
    kernels = sum(outcome.kernel_seconds for outcome in outcomes)
    floor = (model + kernels) / min(jobs, max(len(outcomes), 1))
    return (
        f"floor {floor:.1f} s ({model:.1f} s of model time and {kernels:.1f} s of kernel starts, "
        f"over {jobs} job{'' if jobs == 1 else 's'}); took {seconds / floor:.1f} × that"
    )


def _union(spans: Iterable[tuple[float, float]]) -> float:
    """The length of what the spans cover together."""
    covered, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return covered
