"""The agent's log: each line names its invocation, and replays write none again."""

import logging

import restate
from restate.extensions import current_context

__all__ = ["configure", "logger"]

# The SDK's logger keeps quiet while a handler replays its journal.
logger: logging.Logger = restate.getLogger("agent")  # type: ignore[no-untyped-call]


def configure() -> None:
    """Write the log to stderr; for `python -m agent`, since a library leaves logging alone."""
    handler = logging.StreamHandler()
    handler.addFilter(_add_invocation_id)
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(invocation_id)s %(message)s")
    )
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def _add_invocation_id(record: logging.LogRecord) -> bool:
    try:
        context = current_context()
    except LookupError:  # outside an invocation
        context = None
    record.invocation_id = context.request().id if context else "-"
    return True
