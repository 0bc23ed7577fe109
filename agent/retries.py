"""Who retries: Restate, and nobody else. Where it gives up, it pauses, and the work done so far is
kept.
"""

from datetime import timedelta

from restate import InvocationRetryPolicy

from agent.settings import settings

__all__ = ["RETRY_POLICY"]

RETRY_POLICY = InvocationRetryPolicy(
    initial_interval=timedelta(milliseconds=250),
    exponentiation_factor=2.0,
    max_interval=timedelta(seconds=10),
    max_attempts=settings().max_attempts,
    on_max_attempts="pause",
)
