"""The clock of a run: unix seconds, counted on the monotonic clock, as the model's records are."""

import time

_EPOCH = time.time() - time.monotonic()


def now() -> float:
    return _EPOCH + time.monotonic()
