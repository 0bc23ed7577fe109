"""A model that stands still, nearly, while nobody waits for it: what a test does next meets the
same moment of a turn each time.
"""

from collections.abc import Callable

from tests.stack import Session
from tests.stress.invariants import OURS
from workbench import wait_until

_HELD, _HURRIED = 20.0, 5000.0
CATCH = 0.05  # seconds before the first token, in which a stream is caught and held


def hold(session: Session) -> None:
    """From now on an answer takes many seconds."""
    session.stack.model.set(tokens_per_second=_HELD, first_token_seconds=0.0)


def hurry_until(
    session: Session, check: Callable[[], object], *, what: str, first_token: float = 0.0
) -> None:
    """Let the model work until `check`, then hold it again."""
    session.stack.model.set(tokens_per_second=_HURRIED, first_token_seconds=first_token)
    try:
        wait_until(check, what=f"{session.key}: {what}", timeout=40.0, every=0.003)
    finally:
        hold(session)


def streams(session: Session, turn: int, step: str) -> bool:
    """Whether the model is at work on such a step of a turn."""
    return any(r.step == step and r.status == "streaming" for r in session.requests(turn))


def open_ones(session: Session, *statuses: str) -> list[str]:
    """The ids of all invocations that are not over; only those with these statuses, if given."""
    rows = session.stack.admin.query(
        f"SELECT id, status FROM sys_invocation WHERE status != 'completed' AND {OURS}"
    )
    return [row["id"] for row in rows if not statuses or row["status"] in statuses]
