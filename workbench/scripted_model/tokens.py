"""What this model calls a token: a word or a run of punctuation, with the whitespace before it.

That is close to what real tokenizers make of English and Python, needs no vocabulary file, and
loses nothing: the pieces joined are the text. One token is one chunk of a stream and counts as one
in `usage`.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\s*(?:\w+|[^\w\s]+)|\s+")


def split(text: str) -> list[str]:
    return _TOKEN.findall(text)


def count(text: str) -> int:
    return sum(1 for _ in _TOKEN.finditer(text))
