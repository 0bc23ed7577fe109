"""A key of one's own, so that a lesson can be run again, and beside others, on the same server."""

from __future__ import annotations

import itertools
import os
import secrets
from collections import defaultdict
from collections.abc import Iterator

__all__ = ["new_key"]

# Without the letters and digits that are taken for one another.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


_numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: itertools.count(1))


def new_key(prefix: str) -> str:
    """`prefix` and four random characters, as in `lesson-02-k7ma`.

    Where a run of lessons has a new server to itself, it sets `WORKBENCH_KEYS=counted`, for the
    same keys in every run: `lesson-02-1`.
    """
    if os.environ.get("WORKBENCH_KEYS") == "counted":
        return f"{prefix}-{next(_numbers[prefix])}"
    return f"{prefix}-{''.join(secrets.choice(_ALPHABET) for _ in range(4))}"
