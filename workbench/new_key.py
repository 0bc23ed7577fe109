"""A key of one's own, so that a lesson can be run again, and beside others, on the same server."""

from __future__ import annotations

import secrets

__all__ = ["new_key"]

# Without the letters and digits that are taken for one another.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def new_key(prefix: str) -> str:
    """`prefix` and four random characters, as in `lesson-02-k7ma`."""
    return f"{prefix}-{''.join(secrets.choice(_ALPHABET) for _ in range(4))}"
