"""Who retries: Restate, and nobody else. Where it gives up it pauses, and no work is lost."""

from datetime import timedelta

from restate import InvocationRetryPolicy

from agent.settings import settings

__all__ = ["RETRY_POLICY", "UNTIL_DONE"]

RETRY_POLICY = InvocationRetryPolicy(
    initial_interval=timedelta(milliseconds=250),
    exponentiation_factor=2.0,
    max_interval=timedelta(seconds=10),
    max_attempts=settings().max_attempts,
    on_max_attempts="pause",
)

# For what only keeps books, and for the watcher: nothing outside can make them fail, so they are
# tried for as long as the agent is away, and need nobody to resume them when it is back.
UNTIL_DONE = InvocationRetryPolicy(
    initial_interval=timedelta(milliseconds=250),
    exponentiation_factor=2.0,
    max_interval=timedelta(seconds=10),
    max_attempts=2**31 - 1,  # left out, the server's own limit would hold
    on_max_attempts="pause",
)
