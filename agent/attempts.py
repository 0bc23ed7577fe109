"""What the attempts of a model call have brought so far, kept for as long as this process lives.

Only the result of the attempt that succeeds reaches the journal. The tokens of those that failed,
or that were cut off with their connection to the server, are spent nevertheless; they are kept here
and counted with the attempt that ends the step.
"""

from agent.model import Reply

__all__ = ["attempts_of", "forget"]

# A killed invocation does not come back for its attempts: of so many steps the newest are kept.
_KEPT_STEPS = 10_000

_attempts: dict[tuple[str, str], list[Reply]] = {}


def attempts_of(invocation_id: str, step: str) -> list[Reply]:
    """The replies of a step's attempts in this process, to be added to."""
    attempts = _attempts.setdefault((invocation_id, step), [])
    if len(_attempts) > _KEPT_STEPS:
        del _attempts[next(iter(_attempts))]
    return attempts


def forget(invocation_id: str, step: str) -> None:
    """The step is over, and what its attempts have brought is in the journal."""
    _attempts.pop((invocation_id, step), None)
